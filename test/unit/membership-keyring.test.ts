import { describe, expect, test } from 'vitest'
import { isShoalError } from '../../src/errors.js'
import { broadcastRoom } from '../../src/membership/index.js'
import { type GossipKey, KEYS_MAX, Keyring } from '../../src/membership/keyring.js'
import { base64, KEY_A, KEY_B, KEY_C } from '../support/sealing.js'

function keyOf(byte: number): Uint8Array {
  return new Uint8Array(16).fill(byte)
}

function refusal(change: () => unknown): string {
  try {
    change()
  } catch (error) {
    expect(isShoalError(error, 'INVALID_OPTION')).toBe(true)
    return (error as Error).message
  }
  throw new Error('nothing was refused')
}

describe('a keyring', () => {
  test('takes the bytes of its envelope from the room that a broadcast has in a packet', () => {
    const plain = broadcastRoom({ cluster: 'shop' })
    expect(broadcastRoom({ cluster: 'shop', keys: [KEY_A] })).toBe(plain - 29)
  })

  test('lists its keys in base64, the primary first, whatever form they were given in', () => {
    const ring = new Keyring([base64(KEY_C), KEY_A, Buffer.from(KEY_B)])
    expect(ring.list()).toEqual([KEY_C, KEY_A, KEY_B].map(base64))
  })

  test('appends a key once', () => {
    const ring = new Keyring([KEY_A])
    ring.add(KEY_B)
    ring.add(base64(KEY_B))
    ring.add(KEY_A)
    expect(ring.list()).toEqual([KEY_A, KEY_B].map(base64))
  })

  test('moves the key in use to the front and keeps the order of the others', () => {
    const ring = new Keyring([KEY_A, KEY_B, KEY_C])
    ring.use(KEY_C)
    expect(ring.list()).toEqual([KEY_C, KEY_A, KEY_B].map(base64))
    ring.use(KEY_C)
    expect(ring.list()).toEqual([KEY_C, KEY_A, KEY_B].map(base64))
  })

  test('uses no key that was not added', () => {
    const ring = new Keyring([KEY_A])
    expect(refusal(() => ring.use(KEY_B))).toContain('add it on every node')
    expect(ring.list()).toEqual([base64(KEY_A)])
  })

  test('removes any key but the primary, and says how to be rid of that', () => {
    const ring = new Keyring([KEY_A, KEY_B])
    expect(refusal(() => ring.remove(KEY_A))).toContain('use another key first')
    ring.remove(KEY_B)
    ring.remove(KEY_B)
    expect(ring.list()).toEqual([base64(KEY_A)])
    expect(refusal(() => ring.remove(KEY_A))).toContain('primary')
  })

  test(`holds ${KEYS_MAX} keys and refuses one more`, () => {
    const ring = new Keyring(Array.from({ length: KEYS_MAX }, (_, i) => keyOf(i)))
    ring.add(keyOf(3))
    expect(refusal(() => ring.add(keyOf(99)))).toContain('16 keys')
    expect(ring.list()).toHaveLength(KEYS_MAX)
  })

  test('copies the bytes it is given', () => {
    for (const bytes of [KEY_A.slice(), Buffer.from(KEY_A)]) {
      const ring = new Keyring([bytes])
      bytes.fill(0xee)
      expect(ring.list()).toEqual([base64(KEY_A)])
    }
  })

  test('of a node without encryption is empty and takes no key', () => {
    const ring = new Keyring(undefined)
    expect(ring.list()).toEqual([])
    expect(refusal(() => ring.add(KEY_A))).toContain('option keys')
    expect(refusal(() => ring.use(KEY_A))).toContain('not in the keyring')
  })
})

describe('a bad key is refused without being printed', () => {
  const secret = 'c2VjcmV0LXNlY3JldA=='
  const bad: readonly [string, unknown, string][] = [
    ['of 13 bytes', [KEY_A, secret], 'keys[1] has 13 bytes; a key has 16, 24 or 32'],
    ['that is empty', [''], 'keys[0] has 0 bytes'],
    ['of 33 bytes', [new Uint8Array(33)], 'keys[0] has 33 bytes'],
    ['that is no base64', ['secret#secret'], 'keys[0] is neither base64'],
    ['that is a number', [1234], 'keys[0] is neither base64'],
    ['in place of a list', base64(KEY_A), 'keys must be a list'],
    ['list without a key', [], 'keys is empty'],
  ]
  test.each(bad)('one %s', (_, keys, words) => {
    const message = refusal(() => new Keyring(keys as readonly GossipKey[]))
    expect(message).toContain(words)
    for (const text of [secret, 'secret', '1234', base64(KEY_A)]) expect(message).not.toContain(text)
  })

  test('added later', () => {
    const ring = new Keyring([KEY_A])
    const message = refusal(() => ring.add(secret))
    expect(message).toContain('13 bytes')
    expect(message).not.toContain(secret)
  })
})
