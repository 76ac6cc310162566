/**
 * One life of a core under hostile inputs. Seed and number of the batch decide everything that happens in it; a failure
 * comes back with all the steps that led to it, and is then cut down to those that matter.
 */
import { seededRandom } from '../../src/random.js'
import { type Cost, isBreach } from './allocation-gauge.js'
import { Inputs } from './inputs.js'
import { LivingCore, type Step } from './living-core.js'
import { Tally } from './tally.js'

/** Inputs in one life of the core. */
export const BATCH_INPUTS = 2_500
const CHECK_EVERY = 250
/** Honest steps per hostile one. */
const HONEST_SHARE = 0.04

export interface BatchId {
  readonly seed: number
  readonly batch: number
}

export interface Failure extends BatchId {
  readonly error: string
  readonly steps: readonly Step[]
}

export interface BatchOptions extends BatchId {
  readonly inputs: number
  readonly tally: Tally
  /** Every so many inputs the memory that one costs is measured. */
  readonly measureEvery: number
}

/** The seed of the core of this batch; it also decides the way in which the cluster is set up. */
export function coreSeed({ seed, batch }: BatchId): number {
  return (((Math.imul(seed, 0x9e37_79b1) << 16) >>> 0) + batch) >>> 0
}

export function runBatch({ inputs, tally, measureEvery, ...id }: BatchOptions): Failure | undefined {
  const core = new LivingCore(coreSeed(id), tally)
  const random = seededRandom(Math.imul(id.seed, 0x85eb_ca6b) ^ Math.imul(id.batch + 1, 0xc2b2_ae35))
  const source = new Inputs(random, core, core.sealed)
  const steps: Step[] = []
  const go = (step: Step, isMeasured: boolean): void => {
    steps.push(step)
    if (!isMeasured) core.take(step)
    else if (exceeds(core.takeMeasured(step), tally)) again(id, steps, tally)
  }
  try {
    for (let input = 1; input <= inputs; input++) {
      if (random() < HONEST_SHARE) go(source.honest(), false)
      go(source.next(), (id.batch * inputs + input) % measureEvery === 0)
      if (input % CHECK_EVERY === 0 || input === inputs) check(core)
    }
  } catch (error) {
    return { ...id, error: describe(error), steps }
  }
  core.end()
  return undefined
}

function exceeds(cost: Cost, tally: Tally): boolean {
  const { allocatedBytes, inputBytes, inflatedBytes, sentBytes } = cost
  tally.count('memory measured')
  if (allocatedBytes < 0) tally.count('memory measured across a collection')
  if (inflatedBytes === 0) {
    tally.count('memory of plain inputs, bytes in and out', inputBytes + sentBytes)
    tally.count('memory of plain inputs, bytes allocated', Math.max(0, allocatedBytes))
    tally.raise('most memory of a plain input beyond 8 times its bytes', allocatedBytes - 8 * (inputBytes + sentBytes))
  }
  return isBreach(cost)
}

/** Compiled code is made once, and what an input costs it costs in each of its lives: a breach must come up in two more. */
function again(id: BatchId, steps: readonly Step[], tally: Tally): void {
  const last = steps.at(-1) as Step
  const costs = [1, 2].map(() => {
    const core = new LivingCore(coreSeed(id), new Tally())
    for (const step of steps.slice(0, -1)) core.take(step)
    return core.takeMeasured(last)
  })
  tally.count('memory looked at again')
  if (costs.every(isBreach)) throw new Error(`an input costs too much memory: ${JSON.stringify(costs[0])}`)
}

/** What these steps lead to from the same beginning; `undefined` when nothing is wrong. */
export function replay({ steps, ...id }: BatchId & { readonly steps: readonly Step[] }): string | undefined {
  try {
    const core = new LivingCore(coreSeed(id), new Tally())
    for (const step of steps) core.take(step)
    check(core)
    return undefined
  } catch (error) {
    return describe(error)
  }
}

/** Drops whatever steps the failure can do without: halves first, single ones last. */
export function reduce(failure: Failure): Failure {
  let { steps } = failure
  let error = replay(failure)
  // What only the gauge or a check in between saw is kept as it was.
  if (error === undefined) return failure
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < steps.length; ) {
      const fewer = [...steps.slice(0, at), ...steps.slice(at + size)]
      const outcome = replay({ ...failure, steps: fewer })
      if (outcome === undefined) at += size
      else {
        steps = fewer
        error = outcome
      }
    }
  }
  return { ...failure, error, steps }
}

function check(core: LivingCore): void {
  const violations = core.violations()
  if (violations.length > 0) throw new Error(violations.slice(0, 5).join('; '))
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
