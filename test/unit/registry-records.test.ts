import { describe, expect, test } from 'vitest'
import { isShoalError } from '../../src/errors.js'
import { seededRandom } from '../../src/random.js'
import { isBootId, makeBootId, raisedBootId } from '../../src/registry/boot-id.js'
import { copyPlainData } from '../../src/registry/plain-data.js'
import { RECORD_LIMITS } from '../../src/registry/record.js'
import { newRegistry } from '../support/registry-cluster.js'

function codeOf(action: () => void): string {
  try {
    action()
  } catch (error) {
    return isShoalError(error) ? error.code : `not of shoal: ${String(error)}`
  }
  return 'none'
}

describe('a boot id', () => {
  test('of a later start is greater as a plain string', () => {
    const random = seededRandom(7)
    const starts = [0, 1, 255, 1_700_000_000_000, 1_700_000_000_001, 0xffff_ffff_ffff]
    const ids = starts.map((ms) => makeBootId(ms, random))
    expect([...ids].sort()).toEqual(ids)
    expect(ids.every(isBootId)).toBe(true)
  })

  test('is 20 lower case hex digits and nothing else', () => {
    for (const text of ['', 'g'.repeat(20), 'A'.repeat(20), 'a'.repeat(19), 'a'.repeat(21), `${'a'.repeat(20)}\n`]) {
      expect(isBootId(text)).toBe(false)
    }
  })

  test('is raised strictly above any other, but for the very last', () => {
    const random = seededRandom(9)
    const seen = ['0'.repeat(20), makeBootId(1_700_000_000_000, random), `${'f'.repeat(12)}fffffffe`]
    for (const id of seen) expect(raisedBootId(id, random)! > id).toBe(true)
    expect(isBootId(raisedBootId(seen[2]!, random)!)).toBe(true)
    expect(raisedBootId('f'.repeat(20), random)).toBeUndefined()
  })
})

describe('plain data', () => {
  const limits = { depthMax: 3, weightMax: 100 }
  const faultOf = (value: unknown): string => {
    const copy = copyPlainData(value, limits)
    return copy.ok ? 'none' : `${copy.fault} at ${copy.path}`
  }

  test('is copied and frozen all the way down, without what is undefined', () => {
    const source = { a: [1, { b: null }], c: true, d: undefined }
    const copy = copyPlainData(source, limits)
    expect(copy.ok && copy.value).toEqual({ a: [1, { b: null }], c: true })
    expect(copy.ok && Object.keys(copy.value as object)).toEqual(['a', 'c'])
    source.a.push(2)
    expect(copy.ok && (copy.value as { a: unknown[] }).a).toHaveLength(2)
    expect(copy.ok && Object.isFrozen((copy.value as { a: unknown[] }).a[1])).toBe(true)
  })

  test('has no place for anything that the wire would change, and says where it stands', () => {
    for (const value of [
      1n,
      Number.NaN,
      new Date(),
      new Map(),
      () => 1,
      Symbol('x'),
      new Uint8Array(1),
      new (class X {})(),
    ]) {
      expect(faultOf({ a: [value] })).toBe('not-plain at .a[0]')
    }
    expect(faultOf([undefined])).toBe('not-plain at [0]')
    expect(faultOf({ a: '\ud800' })).toBe('not-plain at .a')
    expect(faultOf(JSON.parse('{"a":{"__proto__":1}}'))).toBe('not-plain at .a.__proto__')
  })

  test('is bounded in depth and size, and a cycle ends at the depth', () => {
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    expect(faultOf(cycle)).toBe('too-deep at .self.self.self')
    expect(faultOf({ a: 'x'.repeat(101) })).toBe('too-large at .a')
    expect(faultOf(new Array(101).fill(true))).toMatch(/^too-large/)
    expect(faultOf([[[]]])).toBe('none')
  })
})

describe('an owner', () => {
  test('is refused a bad declaration, and nothing is changed by it', () => {
    const registry = newRegistry('a')
    const bad: [string, () => void][] = [
      ['INVALID_ARGUMENT', () => registry.provide({ service: '' }, 1)],
      ['INVALID_ARGUMENT', () => registry.provide({ service: 'é'.repeat(128) }, 1)],
      ['INVALID_ARGUMENT', () => registry.provide({ service: 's', version: 'v'.repeat(256) }, 1)],
      ['INVALID_ARGUMENT', () => registry.provide({ service: 's', methods: [''] }, 1)],
      ['INVALID_ARGUMENT', () => registry.provide({ service: 's', meta: { at: new Date() as never } }, 1)],
      ['INVALID_ARGUMENT', () => registry.provide({ service: 's', meta: [] as never }, 1)],
      ['INVALID_ARGUMENT', () => registry.provide({ service: 's', status: 'sleeping' as never }, 1)],
      ['TOO_LARGE', () => registry.provide({ service: 's', methods: new Array(1_025).fill('m') }, 1)],
      ['TOO_LARGE', () => registry.provide({ service: 's', meta: { a: 'x'.repeat(1_048_576) } }, 1)],
      ['TOO_LARGE', () => registry.provide({ service: 's', methods: new Array(1_024).fill('m'.repeat(100)) }, 1)],
      ['INVALID_ARGUMENT', () => registry.setStatus('s', { status: 'running', at: 1 })],
      ['INVALID_ARGUMENT', () => registry.setMeta('s', {}, 1)],
    ]
    for (const [code, action] of bad) expect(codeOf(action)).toBe(code)
    expect(registry.inspect().rev).toBe(0)
    expect(registry.drain()).toEqual([])
  })

  test('cannot announce more services than receivers would take', () => {
    const registry = newRegistry('a')
    for (let i = 0; i < RECORD_LIMITS.servicesPerNodeMax; i++) registry.provide({ service: `s${i}` }, 1)
    expect(codeOf(() => registry.provide({ service: 'one more' }, 1))).toBe('TOO_LARGE')
    registry.withdraw('s0', 2)
    registry.provide({ service: 'one more' }, 3)
    expect(registry.inspect().rev).toBe(RECORD_LIMITS.servicesPerNodeMax + 2)
  })

  test('provides a service once', () => {
    const registry = newRegistry('a')
    registry.provide({ service: 's' }, 1)
    expect(codeOf(() => registry.provide({ service: 's' }, 2))).toBe('INVALID_ARGUMENT')
  })

  test('counts each change once, and the same status again not at all', () => {
    const registry = newRegistry('a')
    registry.provide({ service: 's' }, 1)
    registry.setStatus('s', { status: 'running', at: 2 })
    registry.setStatus('s', { status: 'running', at: 3 })
    registry.setMeta('s', { zone: 'x' }, 4)
    registry.withdraw('s', 5)
    registry.withdraw('s', 6)
    expect(registry.inspect().rev).toBe(4)
  })

  test('may give any text as a reason; it is cut to what travels', () => {
    const registry = newRegistry('a')
    registry.provide({ service: 's' }, 1)
    registry.setStatus('s', { status: 'failed', reason: `\ud800${'x'.repeat(5_000)}`, at: 2 })
    const reason = registry.instancesOf('a')[0]?.reason
    expect(reason).toHaveLength(RECORD_LIMITS.reasonLengthMax)
    expect(reason?.[0]).toBe('\ufffd')
  })
})
