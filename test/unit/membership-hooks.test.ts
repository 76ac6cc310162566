import { describe, expect, it } from 'vitest'
import { isShoalError } from '../../src/errors.js'
import { resolveAllowList } from '../../src/membership/allow-list.js'
import type { Question } from '../../src/membership/effects.js'
import { faultOf } from '../../src/membership/fault.js'
import { type AdmissionHooks, type Refusal, runHook } from '../../src/membership/hooks.js'

const question: Question = { kind: 'merge', merge: { address: 'a:1', initiator: true, members: [] } }

async function verdictOf(admitMerge: unknown): Promise<{ refusal: Refusal; failures: unknown[] }> {
  const failures: unknown[] = []
  const hooks = { admitMerge } as AdmissionHooks
  const refusal = await new Promise<Refusal>((settle) => {
    runHook(question, { hooks, settle, failed: (hook, cause) => failures.push([hook, cause]) })
  })
  return { refusal, failures }
}

describe('a hook', () => {
  it.each([
    ['true', () => true, undefined],
    ['a promise of true', async () => true, undefined],
    ['false', () => false, 'admitMerge said no'],
    ['a reason', () => 'full', 'full'],
    ['a promise of a reason', async () => 'full', 'full'],
    ['nothing', () => undefined, 'admitMerge returned neither true, false nor a reason'],
    ['an empty reason', () => '', ''],
  ])('that gives %s', async (_, hook, refusal) => {
    expect(await verdictOf(hook)).toEqual({ refusal, failures: [] })
  })

  it('that throws or rejects refuses, and its error is told', async () => {
    const cause = new Error('oops')
    const thrown = () => {
      throw cause
    }
    for (const hook of [thrown, async () => thrown()]) {
      expect(await verdictOf(hook)).toEqual({
        refusal: 'the hook admitMerge failed',
        failures: [['admitMerge', cause]],
      })
    }
  })
})

describe('an allow list', () => {
  const allows = resolveAllowList(['10.0.0.0/8', '192.168.1.7', 'fd00::/8'])!

  it.each(['10.1.2.3', '192.168.1.7', 'fd00::1', '::ffff:10.1.2.3'])('lets %s in', (host) => {
    expect(allows(host)).toBe(true)
  })

  it.each(['11.0.0.1', '192.168.1.8', 'fe80::1', '::ffff:11.0.0.1', '', 'name'])("keeps '%s' out", (host) => {
    expect(allows(host)).toBe(false)
  })

  it('is everything when there is none', () => {
    expect(resolveAllowList(undefined)).toBeUndefined()
  })

  it.each([[['10.0.0.0/33']], [['name/8']], [['10.0.0.0/8/8']], [[]], ['10.0.0.0/8'], [[7]]])(
    'of %j is refused',
    (allow) => {
      let failure: unknown
      try {
        resolveAllowList(allow as never)
      } catch (error) {
        failure = error
      }
      expect(isShoalError(failure, 'INVALID_OPTION')).toBe(true)
    },
  )
})

it('a fault has a code, words for people and fields for programs', () => {
  const fault = faultOf({ kind: 'udp-blocked', member: 'b', address: '10.0.0.2:7946', local: '10.0.0.1:7947' })
  expect(isShoalError(fault, 'UDP_BLOCKED')).toBe(true)
  expect(fault).toMatchObject({ member: 'b', peer: '10.0.0.2:7946', local: '10.0.0.1:7947' })
  expect(fault?.message).toContain('from 10.0.0.1:7947 to 10.0.0.2:7946')
  expect(faultOf({ kind: 'peer-error', peer: 'x:1', reason: 'gone' })).toMatchObject({
    code: 'PEER_ERROR',
    peer: 'x:1',
  })
  expect(faultOf({ kind: 'foreign-self', meta: new Uint8Array(), address: 'x:1' })).toBeUndefined()
})
