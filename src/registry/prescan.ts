/**
 * Walks msgpack bytes before anything is allocated for them. Every announced element must be there, depth is bounded, and
 * only the types that our messages use are let through: after it a decoder's work and memory are linear in the bytes.
 */

/** True when the bytes are exactly one value of nil, booleans, numbers, strings, arrays and maps, nested within bounds. */
export function isSoundMsgpack(bytes: Uint8Array, start: number, depthMax: number): boolean {
  const scan = new Scan(bytes, start)
  const owedAt: number[] = [1]
  while (owedAt.length > 0) {
    const owed = owedAt.pop() ?? 0
    if (owed === 0) continue
    owedAt.push(owed - 1)
    if (!scan.next()) return false
    if (scan.children === 0) continue
    if (owedAt.length > depthMax) return false
    owedAt.push(scan.children)
  }
  return scan.at === bytes.length
}

/** Bytes that follow the heads `ca` to `d3`: two floats, four unsigned, four signed. */
const NUMBER_BODY: readonly number[] = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8]
const NIL = 0xc0

class Scan {
  at: number
  /** Elements that the value just read announces. */
  children = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes
    this.at = start
  }

  /** Steps over one head and its own bytes; false when they are not there or not ours. */
  next(): boolean {
    const head = this.#bytes[this.at]
    if (head === undefined) return false
    this.at++
    this.children = 0
    if (head < 0x80 || head >= 0xe0) return true
    if (head < 0x90) return this.#announce((head & 0x0f) * 2)
    if (head < 0xa0) return this.#announce(head & 0x0f)
    if (head < 0xc0) return this.#skip(head & 0x1f)
    return this.#long(head)
  }

  #long(head: number): boolean {
    if (head === NIL || head === 0xc2 || head === 0xc3) return true
    if (head >= 0xca && head <= 0xd3) return this.#skip(NUMBER_BODY[head - 0xca] ?? 0)
    if (head >= 0xd9 && head <= 0xdb) return this.#skip(this.#uint(1 << (head - 0xd9)))
    if (head >= 0xdc) return this.#announce(this.#uint(head & 1 ? 4 : 2) * (head >= 0xde ? 2 : 1))
    return false // bin and ext
  }

  #uint(size: number): number {
    let value = 0
    for (let i = 0; i < size; i++) value = value * 256 + (this.#bytes[this.at++] ?? 0)
    return value
  }

  #skip(count: number): boolean {
    this.at += count
    return this.at <= this.#bytes.length
  }

  #announce(count: number): boolean {
    this.children = count
    return this.at <= this.#bytes.length
  }
}
