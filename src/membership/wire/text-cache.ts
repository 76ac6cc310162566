/**
 * The same few names arrive in almost every message. Giving back the string that was made for the same bytes before
 * saves making it, and hashing it again at each table it is looked up in. Bounded; other bytes in a slot replace it.
 */

const SLOTS = 4_096
const CACHED_CHARS_MAX = 48

const cache: string[] = new Array<string>(SLOTS).fill('')

/** The text of ASCII bytes; `undefined` when they are not ASCII. */
export function asciiText(bytes: Uint8Array, start: number, end: number): string | undefined {
  let hash = end - start
  for (let i = start; i < end; i++) {
    const code = bytes[i] as number
    if (code >= 0x80) return undefined
    hash = (Math.imul(hash, 31) + code) | 0
  }
  if (end - start > CACHED_CHARS_MAX) return newText(bytes, start, end)
  const slot = (hash ^ (hash >>> 12)) & (SLOTS - 1)
  const cached = cache[slot] as string
  if (isTextOf(cached, bytes, start, end)) return cached
  const text = newText(bytes, start, end)
  cache[slot] = text
  return text
}

function isTextOf(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false
  return true
}

/** In pieces: the argument list of a call is limited. */
function newText(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at += 1_024) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, Math.min(end, at + 1_024)) as unknown as number[])
  }
  return text
}
