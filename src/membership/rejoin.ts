/**
 * The members of a former life, tried like seeds until one of them answers. Decides whom to try next and when there is
 * nothing left to try; knows neither sockets nor the file they came from.
 */
import type { HostPort } from '../address.js'
import { type Random, shuffle } from '../random.js'

export class FormerMembers {
  readonly #addresses: HostPort[]
  #next = 0
  #done: boolean

  constructor(addresses: readonly HostPort[], random: Random) {
    this.#addresses = shuffle([...addresses], random)
    this.#done = addresses.length === 0
  }

  /** One of them has answered, or there was none: from now on they are members like any others. */
  get done(): boolean {
    return this.#done
  }

  get addresses(): readonly HostPort[] {
    return this.#addresses
  }

  /** The next few in turn; after the last the first again. */
  take(count: number): readonly HostPort[] {
    const taken: HostPort[] = []
    for (let i = 0; i < Math.min(count, this.#addresses.length); i++) {
      const address = this.#addresses[this.#next++ % this.#addresses.length]
      if (address !== undefined) taken.push(address)
    }
    return taken
  }

  handleAnswer(): void {
    this.#done = true
  }

  /** A seed has let us in: then each of these is tried once and no more, as they may be gone for good. */
  handleSeedAnswer(): void {
    if (this.#next >= this.#addresses.length) this.#done = true
  }
}
