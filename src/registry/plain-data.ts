/**
 * What may stand in a record's meta: null, booleans, finite numbers, strings, arrays and plain objects. One function
 * checks, copies, freezes and weighs it, for a user's value and for a decoded one alike, so both sides agree on limits.
 */

/** Data that survives the wire unchanged. */
export type PlainData =
  | null
  | boolean
  | number
  | string
  | readonly PlainData[]
  | { readonly [key: string]: PlainData | undefined }

export type PlainFault = 'not-plain' | 'too-deep' | 'too-large'

export type PlainCopy =
  | { readonly ok: true; readonly value: PlainData; readonly weight: number }
  | { readonly ok: false; readonly fault: PlainFault; readonly path: string }

export interface PlainLimits {
  readonly depthMax: number
  readonly weightMax: number
  /** Weight of a list or an object itself. Default 1. */
  readonly containerWeight?: number
}

/**
 * A deep, frozen copy with its keys in order, so that equal data have equal bytes. Properties that are `undefined` are
 * left out; everything else that is not plain is a fault.
 */
export function copyPlainData(value: unknown, limits: PlainLimits): PlainCopy {
  const copier = new Copier(limits)
  const copy = copier.copy(value, 0)
  if (copy === undefined) return { ok: false, fault: copier.fault, path: copier.path.join('') }
  return { ok: true, value: copy, weight: copier.weight }
}

/** True for text that UTF-8 can carry: no half of a surrogate pair stands alone. */
export function isWellFormed(text: string): boolean {
  return !LONE_SURROGATE.test(text)
}

const LONE_SURROGATE = /\p{Cs}/u

/** Carries weight and fault through the recursion; `undefined` from a copy means that `fault` is set. */
class Copier {
  weight = 0
  fault: PlainFault = 'not-plain'
  readonly path: string[] = []
  readonly #limits: PlainLimits

  constructor(limits: PlainLimits) {
    this.#limits = limits
  }

  copy(value: unknown, depth: number): PlainData | undefined {
    this.weight += typeof value === 'number' ? 9 : 1
    if (typeof value === 'string') return this.#text(value)
    if (this.weight > this.#limits.weightMax) return this.#fail('too-large')
    if (value === null || typeof value === 'boolean') return value
    if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : this.#fail('not-plain')
    if (typeof value !== 'object') return this.#fail('not-plain')
    if (depth >= this.#limits.depthMax) return this.#fail('too-deep')
    this.weight += (this.#limits.containerWeight ?? 1) - 1
    if (Array.isArray(value)) return this.#array(value, depth)
    return isPlainObject(value) ? this.#object(value, depth) : this.#fail('not-plain')
  }

  #text(text: string): string | undefined {
    this.weight += text.length
    if (this.weight > this.#limits.weightMax) return this.#fail('too-large')
    return isWellFormed(text) ? text : this.#fail('not-plain')
  }

  #array(items: readonly unknown[], depth: number): PlainData | undefined {
    const copy: PlainData[] = []
    for (let i = 0; i < items.length; i++) {
      const item = this.copy(items[i], depth + 1)
      if (item === undefined) return this.#failAt(`[${i}]`)
      copy.push(item)
    }
    return Object.freeze(copy)
  }

  #object(source: Readonly<Record<string, unknown>>, depth: number): PlainData | undefined {
    const copy: Record<string, PlainData> = {}
    for (const key of Object.keys(source).sort()) {
      if (source[key] === undefined) continue
      // The decoder refuses this key, and assigning it would set a prototype.
      const sound = key !== '__proto__' && this.#text(key) !== undefined
      const item = sound ? this.copy(source[key], depth + 1) : undefined
      if (item === undefined) return this.#failAt(`.${key}`)
      copy[key] = item
    }
    return Object.freeze(copy)
  }

  #fail(fault: PlainFault): undefined {
    this.fault = fault
  }

  #failAt(step: string): undefined {
    this.path.unshift(step)
  }
}

// An object literal of any realm: its prototype is none, or ends the chain.
function isPlainObject(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
