/**
 * The label of a cluster: `f4 | length | text` in front of every packet, and once in front of what a dialler writes to
 * a stream. Bytes under another label, or under none where one is set, belong to another cluster.
 */
import { concatBytes, EMPTY_BYTES, equalBytes, tryUtf8Decode, utf8Encode } from '../../bytes.js'
import { ShoalError } from '../../errors.js'
import { MESSAGE_TYPE, type WireDrop } from './messages.js'

export const LABEL_BYTES_MAX = 255
const HEADER_BYTES = 2

export type LabelResult =
  | { readonly ok: true; readonly rest: Uint8Array }
  | { readonly ok: false; readonly drop: WireDrop }

/** Throws `INVALID_OPTION` for a label that the wire cannot carry; nothing is changed. */
export function assertLabel(label: string): void {
  const bytes = utf8Encode(label)
  if (bytes.length > LABEL_BYTES_MAX)
    throw new ShoalError('INVALID_OPTION', `the label takes ${bytes.length} bytes; the limit is ${LABEL_BYTES_MAX}`)
  if (tryUtf8Decode(bytes) !== label) throw new ShoalError('INVALID_OPTION', 'the label is not well-formed Unicode')
}

/** What goes in front of the bytes; empty for the empty label. */
export function labelHeader(label: string): Uint8Array {
  if (label === '') return EMPTY_BYTES
  const text = utf8Encode(label)
  return concatBytes([Uint8Array.of(MESSAGE_TYPE.label, text.length), text])
}

/** What the label takes of each packet. */
export function labelOverhead(label: string): number {
  return label === '' ? 0 : HEADER_BYTES + utf8Encode(label).length
}

/** Takes the label off a packet if it is exactly the expected one. `rest` shares memory with `bytes`. */
export function stripLabel(bytes: Uint8Array, expected: string): LabelResult {
  const result = tryStrip(bytes, expected)
  return result ?? { ok: false, drop: 'bad-label' }
}

/** `stripLabel` for what a dialler writes, in whatever pieces it comes. Holds at most one label. */
export class LabelStripper {
  readonly #expected: string
  #held: Uint8Array = EMPTY_BYTES

  constructor(expected: string) {
    this.#expected = expected
  }

  /** `undefined` while more bytes are needed. After a result the rest of the stream bypasses the stripper. */
  push(chunk: Uint8Array): LabelResult | undefined {
    const bytes = this.#held.length === 0 ? chunk : concatBytes([this.#held, chunk])
    const result = bytes.length === 0 ? undefined : tryStrip(bytes, this.#expected)
    if (result === undefined) this.#held = new Uint8Array(bytes)
    return result
  }
}

/** `undefined` when the header is cut off. */
function tryStrip(bytes: Uint8Array, expected: string): LabelResult | undefined {
  if (bytes[0] !== MESSAGE_TYPE.label) return expected === '' ? { ok: true, rest: bytes } : WRONG
  const length = bytes[1]
  if (length === undefined) return undefined
  if (length === 0) return { ok: false, drop: 'bad-label' }
  if (bytes.length < HEADER_BYTES + length) return undefined
  const end = HEADER_BYTES + length
  return isText(bytes.subarray(HEADER_BYTES, end), expected) ? { ok: true, rest: bytes.subarray(end) } : WRONG
}

const WRONG: LabelResult = { ok: false, drop: 'wrong-label' }

/** Compares without encoding as long as the text is ASCII: this runs once a packet. */
function isText(bytes: Uint8Array, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0x80) return equalBytes(bytes, utf8Encode(text))
    if (bytes[i] !== code) return false
  }
  return bytes.length === text.length
}
