import { expect, it } from 'vitest'
import { type Random, randomInt, seededRandom } from '../../src/random.js'
import { FrameKind, MORE_FLAG } from '../../src/rpc/frame.js'
import { findInput } from '../../src/rpc/input-argument.js'
import { creditBody, SessionPair } from '../support/session-pair.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))

const KINDS = [
  FrameKind.streamItem,
  FrameKind.streamEnd,
  FrameKind.streamCredit,
  FrameKind.cancel,
  FrameKind.request,
  FrameKind.reply,
  FrameKind.error,
  77,
]

function forgedBody(random: Random): Uint8Array {
  switch (randomInt(random, 5)) {
    case 0:
      return new Uint8Array(0)
    case 1:
      return Uint8Array.of(randomInt(random, 256))
    case 2:
      return creditBody(randomInt(random, 2 ** 21), randomInt(random, 2 ** 31))
    case 3:
      return new Uint8Array(1_024 + randomInt(random, 3_000)).fill(randomInt(random, 256))
    default:
      return Uint8Array.from({ length: randomInt(random, 30) }, () => randomInt(random, 256))
  }
}

it(`whatever frames of streams and pieces come, nothing is thrown and nothing is kept (SEED=${seed})`, async () => {
  const random = seededRandom(seed)
  const reasons: Record<string, number> = {}
  let survived = 0
  for (let round = 0; round < 3_000; round++) {
    const limits = { frameBytesMax: 40_000, streamsMax: 3 }
    const pair = new SessionPair({ caller: limits, callee: limits })
    pair.greet()
    const input = findInput([(async function* () {})()])
    pair.startStream({ args: input?.others ?? [], input })
    pair.arrived.at(-1)?.call.output?.send(round)
    pair.start()
    pair.answer()
    for (let i = randomInt(random, 30); i > 0; i--) {
      const kind = KINDS[randomInt(random, KINDS.length)] ?? 0
      const flagged = random() < 0.3 ? kind | MORE_FLAG : kind
      const id = randomInt(random, 5)
      if (random() < 0.5) pair.forge(flagged, id, forgedBody(random))
      else pair.forgeAnswer(flagged, id, forgedBody(random))
      if (random() < 0.2) pair.deliver()
      if (random() < 0.2) pair.answer()
    }
    if (pair.callee.state === 'serving' && pair.caller.state === 'ready') survived++
    pair.caller.lost('CONNECTION_LOST', 'over')
    pair.callee.callerLost()
    expect([pair.callerBudget.taken, pair.calleeBudget.taken, pair.caller.pendingCount]).toEqual([0, 0, 0])
    for (const [reason, count] of Object.entries(pair.counters.snapshot()))
      reasons[reason] = (reasons[reason] ?? 0) + count
    if (round % 200 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  expect(survived).toBeGreaterThan(50)
  for (const reason of [
    'late-item',
    'late-credit',
    'late-piece',
    'bad-item',
    'bad-credit',
    'credit-overflow',
    'item-beyond-credit',
    'piece-too-small',
    'unknown-frame',
    'unexpected-frame',
  ])
    expect(reasons[reason], reason).toBeGreaterThan(5)
})
