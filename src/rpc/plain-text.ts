/**
 * Texts of a payload from their bytes. A call into the system costs as much as a dozen characters, so that short ones
 * are made here; and UTF-8 as lenient as the reference codec's, which the system's is not.
 */

const fromCodes = String.fromCharCode

export function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  let all = 0
  for (let i = start; i < end; i++) all |= bytes[i] as number
  return all < 0x80
}

/** The text that the bytes from `start` up to `end` are. Reads nothing from `limit` on. */
export function textOf(bytes: Buffer, start: number, end: number, limit: number): string {
  if (!isAscii(bytes, start, end)) return utf8Text(bytes, start, end, limit)
  const size = end - start
  if (size > 8) return bytes.toString('latin1', start, end)
  return size < 4 ? tinyText(bytes, start, size) : shortText(bytes, start, size)
}

function tinyText(bytes: Uint8Array, at: number, size: number): string {
  if (size === 0) return ''
  const a = bytes[at] as number
  if (size === 1) return fromCodes(a)
  const b = bytes[at + 1] as number
  return size === 2 ? fromCodes(a, b) : fromCodes(a, b, bytes[at + 2] as number)
}

/** Of 4 to 8 bytes. */
function shortText(bytes: Uint8Array, at: number, size: number): string {
  const a = bytes[at] as number
  const b = bytes[at + 1] as number
  const c = bytes[at + 2] as number
  const d = bytes[at + 3] as number
  if (size === 4) return fromCodes(a, b, c, d)
  const e = bytes[at + 4] as number
  if (size === 5) return fromCodes(a, b, c, d, e)
  const f = bytes[at + 5] as number
  if (size === 6) return fromCodes(a, b, c, d, e, f)
  const g = bytes[at + 6] as number
  return size === 7 ? fromCodes(a, b, c, d, e, f, g) : fromCodes(a, b, c, d, e, f, g, bytes[at + 7] as number)
}

/** A lone surrogate is a code point like any other. Reads nothing from `limit` on. */
export function utf8Text(bytes: Uint8Array, start: number, end: number, limit: number): string {
  const units: number[] = []
  const tail = (at: number): number => (at < limit ? (bytes[at] as number) & 0x3f : 0)
  let at = start
  while (at < end) {
    const first = bytes[at++] as number
    if (first < 0xc0 || first >= 0xf8) units.push(first)
    else if (first < 0xe0) units.push(((first & 0x1f) << 6) | tail(at++))
    else if (first < 0xf0) {
      units.push(((first & 0x0f) << 12) | (tail(at) << 6) | tail(at + 1))
      at += 2
    } else {
      const point = ((first & 7) << 18) | (tail(at) << 12) | (tail(at + 1) << 6) | tail(at + 2)
      at += 3
      if (point < 0x1_0000) units.push(point)
      else units.push(0xd800 | (((point - 0x1_0000) >>> 10) & 0x3ff), 0xdc00 | (point & 0x3ff))
    }
  }
  return fromCodes(...units)
}
