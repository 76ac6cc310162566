/** A byte stream to another process, as the connections see it. Sockets are one kind; tests have another. */

export interface LinkError {
  /** `ECONNREFUSED` and the like. */
  readonly code: string | undefined
  readonly message: string
}

export interface LinkHandler {
  handleOpen(): void
  /** The chunk is valid during the call only. */
  handleBytes(chunk: Uint8Array, length: number): void
  /** Everything written has gone to the kernel. */
  handleDrain(): void
  /** Exactly once, and nothing after it; without an error when the other side ended the stream in order. */
  handleClose(error: LinkError | undefined): void
}

export interface Link {
  write(bytes: Uint8Array): void
  /** Written and not yet given to the kernel. */
  unsentBytes(): number
  /** Enough is written for now: `handleDrain` will say when it has gone. */
  needsDrain(): boolean
  /** Given to the kernel so far. */
  sentBytes(): number
  receivedBytes(): number
  /** `host:port` of the other side. */
  remoteAddress(): string
  pauseReading(): void
  resumeReading(): void
  /** Sends what was written, then the end of the stream. */
  end(): void
  destroy(): void
}
