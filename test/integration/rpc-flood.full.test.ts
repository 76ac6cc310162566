/** A hundred thousand hostile frames and more on a node that has callers to serve. */
import { it } from 'vitest'
import { expectHonestServed } from '../support/rpc-flood.js'

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))

it(`serves its callers under 100,000 hostile frames, bounded and counted (SEED=${SEED})`, async () => {
  await expectHonestServed({ frames: 100_000, seed: SEED, quietMs: 5_000 })
})
