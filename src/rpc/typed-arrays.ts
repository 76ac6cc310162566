/**
 * Typed arrays, data views and array buffers as the body of an extension: a kind byte, then the elements in the order
 * of this machine, which is little-endian wherever Node runs but on s390x and ppc64.
 */

// In the order of their kind bytes. A Uint8Array, and so a Buffer, travels as MessagePack's own binary type.
const VIEWS: readonly (new (buffer: ArrayBuffer) => ArrayBufferView)[] = [
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
]
const ARRAY_BUFFER_KIND = VIEWS.length

/** `undefined` for a kind of view that is not known here. */
export function tryEncodeView(value: ArrayBufferView | ArrayBuffer): Uint8Array | undefined {
  const isBuffer = !ArrayBuffer.isView(value)
  const kind = isBuffer ? ARRAY_BUFFER_KIND : VIEWS.findIndex((View) => value instanceof View)
  if (kind < 0) return undefined
  const bytes = new Uint8Array(1 + value.byteLength)
  bytes[0] = kind
  bytes.set(isBuffer ? new Uint8Array(value) : new Uint8Array(value.buffer, value.byteOffset, value.byteLength), 1)
  return bytes
}

/** Always over a buffer of its own. Throws a plain Error when the bytes do not fit the kind. */
export function decodeView(bytes: Uint8Array): unknown {
  const kind = bytes[0] ?? -1
  const { buffer } = new Uint8Array(bytes.subarray(1))
  if (kind === ARRAY_BUFFER_KIND) return buffer
  const View = VIEWS[kind]
  if (View === undefined) throw new Error('unknown kind of typed array')
  return new View(buffer)
}
