/**
 * Which of the streams that others open are kept: so many at once, so many from one address, and so many bytes buffered
 * by all of them. When there is no place, a stream that has not sent a byte yet gives way: who has something to say
 * says it at once. Decides only; its owner opens and closes.
 */

export interface SlotLimits {
  readonly streams: number
  readonly perAddress: number
  /** Received on open streams, together. */
  readonly bytes: number
}

export type SlotVerdict =
  | { readonly kept: true; readonly evicted: number | undefined }
  /** There is no place, and none to be made. */
  | { readonly kept: false }

interface Slot {
  readonly address: string
  bytes: number
}

export class StreamSlots {
  readonly #limits: SlotLimits
  /** In the order in which they were opened. */
  readonly #slots = new Map<number, Slot>()
  readonly #perAddress = new Map<string, number>()
  #bytes = 0

  constructor(limits: SlotLimits) {
    this.#limits = limits
  }

  open(id: number, address: string): SlotVerdict {
    const crowded = (this.#perAddress.get(address) ?? 0) >= this.#limits.perAddress
    const full = this.#slots.size >= this.#limits.streams
    const evicted = crowded ? this.#silent(address) : full ? this.#silent(undefined) : undefined
    if ((crowded || full) && evicted === undefined) return { kept: false }
    if (evicted !== undefined) this.release(evicted)
    this.#slots.set(id, { address, bytes: 0 })
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1)
    return { kept: true, evicted }
  }

  /** False when this is more than all together may hold: the stream must go. */
  receive(id: number, bytes: number): boolean {
    const slot = this.#slots.get(id)
    if (slot === undefined || this.#bytes + bytes > this.#limits.bytes) return false
    slot.bytes += bytes
    this.#bytes += bytes
    return true
  }

  release(id: number): void {
    const slot = this.#slots.get(id)
    if (slot === undefined) return
    this.#slots.delete(id)
    this.#bytes -= slot.bytes
    const left = (this.#perAddress.get(slot.address) ?? 1) - 1
    if (left === 0) this.#perAddress.delete(slot.address)
    else this.#perAddress.set(slot.address, left)
  }

  /** The oldest that has not sent anything; of one address, or of all. */
  #silent(address: string | undefined): number | undefined {
    for (const [id, slot] of this.#slots) {
      if (slot.bytes === 0 && (address === undefined || slot.address === address)) return id
    }
    return undefined
  }
}
