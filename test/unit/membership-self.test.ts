import { expect, it } from 'vitest'
import { utf8Encode } from '../../src/bytes.js'
import { INCARNATION_MAX } from '../../src/membership/precedence.js'
import { Self } from '../../src/membership/self.js'
import type { Alive } from '../../src/membership/wire/messages.js'

const VSN = Uint8Array.of(1, 5, 2, 0, 0, 0)
const identity = { addr: Uint8Array.of(10, 0, 0, 1), port: 7_946, meta: utf8Encode('mine'), vsn: VSN }
const self = (): Self => new Self('me', identity, 100)
const heard = (changes: Partial<Alive>): Alive => ({ ...self().toAlive(), ...changes })

it('our own record as we sent it is ignored', () => {
  expect(self().judgeAlive(heard({}))).toBe('ignore')
})

it('an older record of ours is ignored whatever it says', () => {
  expect(self().judgeAlive(heard({ incarnation: 99, meta: utf8Encode('former') }))).toBe('ignore')
})

it('our record at our incarnation with other bytes is refuted', () => {
  expect(self().judgeAlive(heard({ meta: utf8Encode('other') }))).toBe('refute')
  expect(self().judgeAlive(heard({ vsn: Uint8Array.of(1, 5, 2, 2, 5, 4) }))).toBe('refute')
})

it('our record above our incarnation is refuted even with the same bytes', () => {
  expect(self().judgeAlive(heard({ incarnation: 101 }))).toBe('refute')
})

it('our name at another address is foreign and not ours to refute', () => {
  expect(self().judgeAlive(heard({ port: 7_947, incarnation: 500 }))).toBe('foreign')
  expect(self().judgeAlive(heard({ addr: Uint8Array.of(10, 0, 0, 2) }))).toBe('foreign')
})

it('an accusation at our incarnation or above is refuted, an older one ignored', () => {
  expect([99, 100, 101].map((incarnation) => self().judgeAccusation(incarnation))).toEqual([
    'ignore',
    'refute',
    'refute',
  ])
})

it('a refutation goes above ours and above what was heard', () => {
  const me = self()
  me.outbid(50)
  expect(me.incarnation).toBe(101)
  me.outbid(500)
  expect(me.incarnation).toBe(501)
  me.outbid(INCARNATION_MAX)
  expect(me.incarnation).toBe(INCARNATION_MAX)
})

it('a node that leaves defends itself no more', () => {
  const me = self()
  me.leave()
  expect(me.judgeAlive(heard({ incarnation: 500 }))).toBe('ignore')
  expect(me.judgeAccusation(500)).toBe('ignore')
})
