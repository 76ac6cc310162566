/** Whose a name is, where one machine alone shows it; `test/sim/names.test.ts` has whole clusters. */
import { expect, it } from 'vitest'
import { EMPTY_BYTES } from '../../src/bytes.js'
import { encodeTags } from '../../src/membership/tags.js'
import type { PushNodeState, PushPull } from '../../src/membership/wire/messages.js'
import { type ExchangeEffect, SwimHarness } from '../support/swim-harness.js'

const RIVAL = Uint8Array.of(10, 0, 7, 7)

function listOf(...nodes: readonly PushNodeState[]): PushPull {
  return { type: 'pushPull', join: false, nodes, userState: EMPTY_BYTES }
}

const settled = (h: SwimHarness): unknown[] => h.notices.flatMap((n) => (n.kind === 'name-settled' ? [n.outcome] : []))

/** One seed shows the name elsewhere, and a rival answers there; the join by another seed waits for the user's hook. */
function contested(): { h: SwimHarness; other: ExchangeEffect } {
  const asks = { members: false, merges: true }
  const h = new SwimHarness({ config: { pushPullIntervalMs: 1e9 }, tags: { _b: '9' }, asks })
  h.swim.join(h.address('one'))
  h.swim.join(h.address('other'))
  h.collect()
  const [lookOne, lookOther] = h.exchanges
  h.answer(lookOne!, listOf(h.pushNode('one', 0)))
  h.judge()
  const joinOne = h.exchanges.at(-1)!
  h.answer(lookOther!, listOf(h.pushNode('other', 0)))
  h.answer(joinOne, listOf(h.pushNode('one', 0), { ...h.pushNode('me', 0, 200, encodeTags({ _b: '1' })), addr: RIVAL }))
  h.ack('rival', h.sent('ping').find(({ to }) => to === '10.0.7.7:7946')!.message.seqNo)
  return { h, other: lookOther! }
}

it('a newcomer whose name answers elsewhere does not give it up while a join waits for its hook', () => {
  const { h } = contested()
  h.advance(1_000)
  expect([settled(h), h.swim.nameContest(h.now)]).toEqual([[], 'open'])
  h.judge()
  h.answer(h.exchanges.at(-1)!, listOf(h.pushNode('other', 0)))
  h.advance(200)
  expect(settled(h)).toEqual([]) // taken in: now the boots decide, and the rival is asked once more
})

it('it gives it up when the hook turns that join away', () => {
  const { h } = contested()
  h.judge('no')
  h.advance(200)
  expect(settled(h)).toEqual(['lost'])
})
