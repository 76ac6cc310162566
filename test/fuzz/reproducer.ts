/**
 * A failure on disk: the very bytes of each step, so that it replays whatever became of corpus and mutations meanwhile.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { type Failure, reduce, replay } from './batch.js'
import type { Step } from './living-core.js'

/** The path of the file with what is left of the failure after reduction. */
export function writeReproducer(failure: Failure): string {
  const path = `fuzz-failure-${failure.seed}-${failure.batch}.json`
  writeFileSync(path, `${JSON.stringify(reduce(failure), asHex, 1)}\n`)
  return path
}

/** What went wrong when it was found, and what goes wrong now; `undefined` when nothing does. */
export function replayReproducer(path: string): { readonly before: string; readonly now: string | undefined } {
  const failure = JSON.parse(readFileSync(path, 'utf8'), fromHex) as Failure
  return { before: failure.error, now: replay(failure) }
}

/** All that one needs to know of a failure. */
export function explain(failure: Failure): string {
  const { seed, batch, error, steps } = failure
  const path = writeReproducer(failure)
  const found = `seed ${seed}, batch ${batch}, step ${steps.length}: ${error}`
  return `${found}\nreplay: npm run fuzz -- --replay ${path}`
}

function asHex(key: string, value: unknown): unknown {
  return key === 'steps' ? (value as readonly Step[]).map(toPlain) : value
}

function toPlain(step: Step): object {
  return 'bytes' in step ? { ...step, bytes: Buffer.from(step.bytes).toString('hex') } : step
}

function fromHex(key: string, value: unknown): unknown {
  return key === 'bytes' ? Uint8Array.from(Buffer.from(String(value), 'hex')) : value
}
