/**
 * Which values travel, and in what form: plain data, dates, bigints, maps, sets, errors and binary do; functions,
 * symbols and instances of classes do not, and are refused with their path. Turns what MessagePack would lose silently
 * into extension data, and leaves everything else as it is, without a copy. `toJSON` is never called.
 */
import { ExtData, encodeTimestampExtension } from '@msgpack/msgpack'
import { Constant, Extension, encodeBigInt, encodeText16 } from './extension-types.js'
import { tryEncodeView } from './typed-arrays.js'
import { pathText } from './value-path.js'

/** Levels of containers, the outermost one included. */
export const DEPTH_MAX = 64
/** Strings up to this length go through msgpack's own UTF-8, which keeps lone surrogates and a byte order mark. */
export const PLAIN_TEXT_LENGTH_MAX = 50

/** A value that cannot travel; the message names it by its path. */
export class ValueError extends Error {
  /** Not a fault of the value but of its size. */
  readonly tooLarge: boolean

  constructor(message: string, options: { tooLarge?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ValueError'
    this.tooLarge = options.tooLarge ?? false
  }
}

const constants = {
  undefined: new ExtData(Extension.constant, Uint8Array.of(Constant.undefined)),
  negativeZero: new ExtData(Extension.constant, Uint8Array.of(Constant.negativeZero)),
  invalidDate: new ExtData(Extension.constant, Uint8Array.of(Constant.invalidDate)),
}

/** Walks one value at a time. `encode` gives the MessagePack of an already prepared one, as bytes of its own. */
export class ValuePreparation {
  readonly #encode: (prepared: unknown) => Uint8Array
  readonly #valueCountMax: number
  readonly #path: (string | number)[] = []
  #root = ''
  #valueCount = 0

  /** `valueCountMax` ends the walk over shared references that would multiply without end. */
  constructor(encode: (prepared: unknown) => Uint8Array, valueCountMax: number) {
    this.#encode = encode
    this.#valueCountMax = valueCountMax
  }

  /** Throws a ValueError. `root` is what the path begins with. */
  prepare(value: unknown, root: string): unknown {
    this.#root = root
    this.#path.length = 0
    this.#valueCount = 0
    return this.#value(value, 0)
  }

  #value(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case 'string':
        return value.length <= PLAIN_TEXT_LENGTH_MAX ? value : longText(value)
      case 'number':
        return value === 0 && 1 / value < 0 ? constants.negativeZero : value
      case 'boolean':
        return value
      case 'undefined':
        return constants.undefined
      case 'bigint':
        return new ExtData(Extension.bigint, encodeBigInt(value))
      case 'function':
      case 'symbol':
        throw this.#refusal(depth, `is a ${typeof value} and cannot be sent`)
      case 'object':
        return value === null ? null : this.#object(value, depth)
    }
  }

  #object(value: object, depth: number): unknown {
    if (depth >= DEPTH_MAX) throw this.#refusal(depth, `is nested deeper than ${DEPTH_MAX} levels, or holds itself`)
    if (Array.isArray(value)) return this.#array(value, depth)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null) return this.#record(value, depth)
    return this.#instance(value, depth)
  }

  #array(value: readonly unknown[], depth: number): readonly unknown[] {
    this.#count(value.length, depth)
    let copy: unknown[] | undefined
    for (let i = 0; i < value.length; i++) {
      const item = value[i]
      this.#path[depth] = i
      const prepared = this.#value(item, depth + 1)
      if (copy !== undefined) copy.push(prepared)
      else if (prepared !== item) copy = [...value.slice(0, i), prepared]
    }
    return copy ?? value
  }

  #record(value: object, depth: number): object {
    const keys = Object.keys(value)
    this.#count(keys.length, depth)
    let copy: Record<string, unknown> | undefined
    for (const key of keys) {
      this.#path[depth] = key
      if (key === '__proto__') throw this.#refusal(depth + 1, 'is a key that no object may be given')
      const item = (value as Record<string, unknown>)[key]
      const prepared = this.#value(item, depth + 1)
      if (copy === undefined && prepared !== item) copy = { ...(value as Record<string, unknown>) }
      if (copy !== undefined) copy[key] = prepared
    }
    return copy ?? value
  }

  #instance(value: object, depth: number): unknown {
    if (ArrayBuffer.isView(value)) return value instanceof Uint8Array ? value : this.#view(value, depth)
    if (value instanceof ArrayBuffer) return this.#view(value, depth)
    if (value instanceof Date) return preparedDate(value)
    if (value instanceof Map) return this.#map(value, depth)
    if (value instanceof Set) return this.#holder(Extension.set, this.#array([...value], depth))
    if (isError(value)) return this.#error(value, depth, true)
    if (isForeignPlainObject(value)) return this.#record(value, depth)
    throw this.#refusal(depth, `is an instance of ${className(value)} and cannot be sent: only plain data can`)
  }

  #view(value: ArrayBufferView | ArrayBuffer, depth: number): ExtData {
    const bytes = tryEncodeView(value)
    if (bytes === undefined) throw this.#refusal(depth, `is a ${className(value)} and cannot be sent`)
    return new ExtData(Extension.typedArray, bytes)
  }

  #map(map: ReadonlyMap<unknown, unknown>, depth: number): ExtData {
    this.#count(2 * map.size, depth)
    const parts: unknown[] = []
    for (const [key, value] of map) {
      this.#path[depth] = typeof key === 'string' || typeof key === 'number' ? key : parts.length / 2
      parts.push(this.#value(key, depth + 1), this.#value(value, depth + 1))
    }
    return this.#holder(Extension.map, parts)
  }

  /** Of a cause that is an error too, the same travels without a further cause. */
  #error(error: Error, depth: number, withCause: boolean): ExtData {
    const { name, message, cause } = error
    const { code, data } = error as { code?: unknown; data?: unknown }
    const part = (key: string, value: unknown): unknown => {
      this.#path[depth] = key
      return this.#value(value, depth + 1)
    }
    const parts = [
      part('name', String(name)),
      part('message', String(message)),
      part('code', typeof code === 'string' || typeof code === 'number' ? code : undefined),
      part('data', data),
    ]
    if (!isError(cause)) parts.push(part('cause', cause))
    else if (withCause && depth + 1 < DEPTH_MAX) parts.push(this.#error(cause, depth + 1, false))
    else parts.push(constants.undefined)
    return this.#holder(Extension.error, parts)
  }

  #holder(type: number, prepared: readonly unknown[]): ExtData {
    return new ExtData(type, this.#encode(prepared))
  }

  #count(values: number, depth: number): void {
    this.#valueCount += values + 1
    if (this.#valueCount > this.#valueCountMax)
      throw new ValueError(`${this.#pathText(depth)}: more than ${this.#valueCountMax} values in one message`, {
        tooLarge: true,
      })
  }

  #refusal(depth: number, what: string): ValueError {
    return new ValueError(`${this.#pathText(depth)} ${what}`)
  }

  #pathText(depth: number): string {
    return pathText(this.#root, this.#path.slice(0, depth))
  }
}

/** A byte order mark would be eaten, and a lone surrogate replaced, on the way through UTF-8. */
function longText(text: string): unknown {
  const survives = text.charCodeAt(0) !== 0xfeff && !/\p{Surrogate}/u.test(text)
  return survives ? text : new ExtData(Extension.text16, encodeText16(text))
}

function preparedDate(date: Date): unknown {
  if (Number.isNaN(date.getTime())) return constants.invalidDate
  const bytes = encodeTimestampExtension(date)
  return bytes === null ? constants.invalidDate : new ExtData(Extension.timestamp, bytes)
}

function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]'
}

/** A plain object of another realm (a worker's, a test runner's). */
function isForeignPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return (
    prototype !== null &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype as object, 'isPrototypeOf')
  )
}

function className(value: object): string {
  const { constructor: type } = value as { constructor?: unknown }
  return typeof type === 'function' && type.name !== '' ? type.name : 'an unnamed class'
}
