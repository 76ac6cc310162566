/**
 * Which functions of an implementation can be called by name. Own functions and those of its class, up to but not
 * including Object.prototype: a caller must never reach what the author did not write. Accessors are not run.
 */

const NEVER: ReadonlySet<string> = new Set(['constructor', '__proto__'])
const CHAIN_LENGTH_MAX = 32

export type AnyFunction = (...args: never[]) => unknown

/** The function of that name, or `undefined` when the implementation has none to offer. */
export function tryMethod(implementation: object, name: string): AnyFunction | undefined {
  if (NEVER.has(name)) return undefined
  let holder: object | null = implementation
  try {
    for (let depth = 0; holder !== null && depth < CHAIN_LENGTH_MAX; depth++) {
      if (isObjectPrototype(holder)) return undefined
      const property = Object.getOwnPropertyDescriptor(holder, name)
      if (property !== undefined) return typeof property.value === 'function' ? property.value : undefined
      holder = Object.getPrototypeOf(holder)
    }
  } catch {
    // A proxy that does not let itself be asked offers nothing.
  }
  return undefined
}

/** All names that `tryMethod` answers, sorted: what the registry announces. */
export function methodNames(implementation: object): string[] {
  const names = new Set<string>()
  let holder: object | null = implementation
  for (let depth = 0; holder !== null && depth < CHAIN_LENGTH_MAX; depth++) {
    if (isObjectPrototype(holder)) break
    for (const name of Object.getOwnPropertyNames(holder)) {
      if (tryMethod(implementation, name) !== undefined) names.add(name)
    }
    holder = Object.getPrototypeOf(holder)
  }
  return [...names].sort()
}

/** Also that of another realm (a vm context, a test runner), which is not our `Object.prototype`. */
function isObjectPrototype(holder: object): boolean {
  if (holder === Object.prototype) return true
  return Object.getPrototypeOf(holder) === null && Object.hasOwn(holder, '__defineGetter__')
}
