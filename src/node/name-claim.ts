/**
 * What a node does about its name: `createNode` waits until it is settled and rejects when it is lost; a running node that
 * loses it to one that was there before says so as a fault and leaves. Who has the name is decided by membership.
 */
import { ShoalError } from '../errors.js'
import type { Notice } from '../membership/index.js'

export interface NameClaimParts {
  readonly name: string
  /** Told when the name of a running node is lost. */
  readonly onLost: (error: ShoalError) => void
}

export class NameClaim {
  readonly #parts: NameClaimParts
  #running = false
  #lost: ShoalError | undefined
  #accepted = false
  #wake = (): void => {}

  constructor(parts: NameClaimParts) {
    this.#parts = parts
  }

  /** Others hold this node's record: they are to be told that it goes. */
  get accepted(): boolean {
    return this.#accepted
  }

  handleNotice(notice: Notice): void {
    if (notice.kind !== 'name-settled') return
    this.#accepted = notice.accepted
    if (notice.outcome === 'lost') this.#lose(notice.address)
    this.#wake()
  }

  /** From now on a loss is reported by `onLost`. Rejects NAME_CONFLICT when the name is lost already. */
  async settle(isOpen: () => boolean): Promise<void> {
    while (this.#lost === undefined && isOpen()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#lost !== undefined) throw this.#lost
    this.#running = true
  }

  #lose(address: string): void {
    const { name, onLost } = this.#parts
    this.#lost = new ShoalError(
      'NAME_CONFLICT',
      `a node named '${name}' runs at ${address}, and answers: end it, or give this one another name`,
    )
    if (this.#running) onLost(this.#lost)
  }
}
