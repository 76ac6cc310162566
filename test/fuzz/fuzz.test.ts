import { rmSync } from 'node:fs'
import { expect, it } from 'vitest'
import { BATCH_INPUTS, type Failure, reduce, replay, runBatch } from './batch.js'
import type { Step } from './living-core.js'
import { missing } from './promises.js'
import { explain, replayReproducer, writeReproducer } from './reproducer.js'
import { Tally } from './tally.js'

const SEED = Number(process.env['SEED'] ?? 1)
const INPUTS = 200_000

it(`a living core takes ${INPUTS} hostile inputs without a throw, within its limits (SEED=${SEED})`, () => {
  const tally = new Tally()
  for (let batch = 0; batch < INPUTS / BATCH_INPUTS; batch++) {
    const failure = runBatch({ seed: SEED, batch, inputs: BATCH_INPUTS, tally, measureEvery: 1_000 })
    if (failure !== undefined) expect.fail(explain(failure))
  }
  expect(missing(tally)).toEqual([])
}, 600_000)

it('one seed is one history', () => {
  const tallies = [1, 1, 2].map((seed) => {
    const tally = new Tally()
    runBatch({ seed, batch: 3, inputs: 500, tally, measureEvery: 1e9 })
    return JSON.stringify(tally)
  })
  expect(tallies[0]).toBe(tallies[1])
  expect(tallies[0]).not.toBe(tallies[2])
})

it('a failure is cut down to the steps that it needs, and replays from its file', () => {
  const quiet: Step = { do: 'silence', from: 'p1', afterMs: 5, silent: true }
  // No turn there is: a stand-in for a fault in the middle of harmless steps.
  const fatal = { do: 'service', from: 'p1', afterMs: 5, turn: 0.5 } as const
  const steps = [quiet, quiet, { ...quiet, from: 'p2' }, fatal, quiet]
  const failure: Failure = { seed: 1, batch: 0, error: 'as found', steps }
  expect(replay({ ...failure, steps: [quiet, quiet] })).toBeUndefined()
  const reduced = reduce(failure)
  expect(reduced.steps).toEqual([fatal])
  expect(reduced.error).toContain('a service name must be')
  const path = writeReproducer(failure)
  try {
    expect(replayReproducer(path).now).toContain('a service name must be')
  } finally {
    rmSync(path)
  }
})
