import { describe, expect, it } from 'vitest'
import { mergeHeaders } from '../../src/rpc/headers.js'

const filled = (count: number, value = 'x'): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`h${i}`, value]))

describe('the headers of a call', () => {
  it('are its own over the inherited ones, frozen and without a prototype', () => {
    const merged = mergeHeaders({ a: '1', b: '1' }, { b: '2', c: '2' })
    expect({ ...merged }).toEqual({ a: '1', b: '2', c: '2' })
    expect(Object.isFrozen(merged)).toBe(true)
    expect(merged?.['toString']).toBeUndefined()
  })

  it('are none when there are none', () => {
    for (const [inherited, own] of [
      [undefined, undefined],
      [{}, {}],
      [undefined, {}],
    ]) {
      expect(mergeHeaders(inherited, own)).toBeUndefined()
    }
  })

  it.each<[string, unknown, RegExp]>([
    ['a list', ['a'], /must be an object of strings, got an array/],
    ['a number', { a: 5 }, /header 'a' must be a string, got 5/],
    ['an empty name', { '': 'x' }, /must not be empty/],
    ['a name over 255 bytes', { ['n'.repeat(256)]: 'x' }, /at most 255 bytes/],
    ['__proto__', JSON.parse('{"__proto__":"x"}'), /must not be __proto__/],
    ['65 of them', filled(65), /at most 64 strings/],
    ['16 KiB of them', filled(2, 'x'.repeat(8_192)), /16384 bytes together/],
  ])('cannot be %s', (_what, own, message) => {
    const merge = () => mergeHeaders(undefined, own)
    expect(merge).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', executed: 'no' }))
    expect(merge).toThrow(message)
  })

  it('count the inherited ones against the limit', () => {
    expect(() => mergeHeaders(filled(64), { h0: 'replaced' })).not.toThrow()
    expect(() => mergeHeaders(filled(64), { own: 'x' })).toThrow(/made from included/)
  })

  it('carry on a name that a remote caller made up to do harm, as text and nothing else', () => {
    const inherited = Object.assign(Object.create(null), JSON.parse('{ "__proto__": "polluted" }'))
    const merged = mergeHeaders(inherited, { own: 'x' })
    expect(Object.keys(merged ?? {}).sort()).toEqual(['__proto__', 'own'])
    expect(Object.getPrototypeOf(merged)).toBeNull()
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  it('keep the vendors’ part of a trace context with its trace, and with no other', () => {
    const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const inherited = { traceparent: parent, tracestate: 'vendor=1' }
    const child = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01' }
    expect({ ...mergeHeaders(inherited, child) }).toEqual({ ...child, tracestate: 'vendor=1' })
    const other = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' }
    expect({ ...mergeHeaders(inherited, other) }).toEqual(other)
    const whole = { ...other, tracestate: 'mine=2' }
    expect({ ...mergeHeaders(inherited, whole) }).toEqual(whole)
  })
})
