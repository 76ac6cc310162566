/** A small flood on a node that has callers to serve; the large one is in `rpc-flood.full.test.ts`. */
import { it } from 'vitest'
import { expectHonestServed } from '../support/rpc-flood.js'

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))

it(`serves its callers under 10,000 hostile frames, bounded and counted (SEED=${SEED})`, async () => {
  await expectHonestServed({ frames: 10_000, seed: SEED, quietMs: 1_000 })
})
