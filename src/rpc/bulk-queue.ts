/**
 * What must not hold up others: messages too long for one frame, and the items of streams. They wait here in lanes, one
 * for each call and in order within it, and leave in turns of one piece while the socket takes them. Knows nothing of
 * sockets; the outbox asks for as much as it can send.
 */

/** Long bodies travel in pieces of this many bytes, so that other frames come in between. */
export const PIECE_BYTES = 65_536
/** Up to here a body is not long: the turns that its second piece would wait for cost more than anyone gains by them. */
export const WHOLE_BYTES_MAX = 131_072

export interface BulkMessage {
  readonly kind: number
  readonly id: number
  /** The body, cut as it travels: fresh memory for a whole of megabytes costs more than the copy. */
  readonly pieces: readonly Uint8Array[]
  /** So many of them have left. */
  sentCount: number
  /** All of them have. */
  isSent: boolean
}

/** Writes one frame. */
export type WritePiece = (message: BulkMessage, piece: Uint8Array) => void

/**
 * Messages that are under way in pieces at once. The receiver keeps what it has of each: this many of the largest must be
 * within its bound.
 */
export const OPEN_MESSAGES_MAX = 4

interface Lane {
  readonly id: number
  readonly messages: BulkMessage[]
}

export class BulkQueue {
  /** In the order of their next turn. */
  readonly #lanes = new Map<number, Lane>()
  #open = 0
  /** Of all that waits. */
  bytes = 0

  get isEmpty(): boolean {
    return this.#lanes.size === 0
  }

  /** Whether something of this call waits: what comes after it has to wait as well. */
  has(id: number): boolean {
    return this.#lanes.has(id)
  }

  /** Takes over the pieces, of which there is one at least. */
  push(kind: number, id: number, pieces: readonly Uint8Array[]): BulkMessage {
    const message: BulkMessage = { kind, id, pieces, sentCount: 0, isSent: false }
    const lane = this.#lanes.get(id)
    if (lane === undefined) this.#lanes.set(id, { id, messages: [message] })
    else lane.messages.push(message)
    for (const { length } of pieces) this.bytes += length
    return message
  }

  /** Takes back what waits of this call. True when a part of a message has left, which the receiver has to forget. */
  drop(id: number): boolean {
    const lane = this.#lanes.get(id)
    if (lane === undefined) return false
    this.#lanes.delete(id)
    for (const { pieces, sentCount } of lane.messages) {
      for (const { length } of pieces.slice(sentCount)) this.bytes -= length
    }
    const hasBegun = (lane.messages[0]?.sentCount ?? 0) > 0
    if (hasBegun) this.#open--
    return hasBegun
  }

  /** Hands out pieces in turn, until `hasRoom` says no or nothing may leave now. */
  take(hasRoom: () => boolean, write: WritePiece): void {
    let passed = 0
    while (hasRoom() && passed < this.#lanes.size) {
      const lane = this.#next()
      if (lane === undefined) return
      if (this.#takeTurn(lane, write)) passed = 0
      else passed++
      if (lane.messages.length > 0) this.#lanes.set(lane.id, lane)
    }
  }

  #next(): Lane | undefined {
    for (const lane of this.#lanes.values()) {
      this.#lanes.delete(lane.id)
      return lane
    }
    return undefined
  }

  /** One piece, or as many short messages as make up one. False when the lane has to wait for others to end. */
  #takeTurn(lane: Lane, write: WritePiece): boolean {
    let left = PIECE_BYTES
    for (let message = lane.messages[0]; message !== undefined; message = lane.messages[0]) {
      const piece = message.pieces[message.sentCount]
      if (piece === undefined || left <= 0) break
      // One that is longer than a piece, for a peer that reads none, is a turn of its own.
      if (piece.length > left && left < PIECE_BYTES) break
      const isLast = message.sentCount === message.pieces.length - 1
      if (message.sentCount === 0 && !isLast) {
        if (this.#open >= OPEN_MESSAGES_MAX) return left < PIECE_BYTES
        this.#open++
      }
      if (isLast) {
        if (message.sentCount > 0) this.#open--
        message.isSent = true
        lane.messages.shift()
      }
      message.sentCount++
      this.bytes -= piece.length
      left -= Math.max(1, piece.length)
      write(message, piece)
    }
    return true
  }
}
