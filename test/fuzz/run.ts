/**
 * The fuzzer's command line. Shares the inputs among processes, shows how far it is, and for a failure the seed and a file
 * that replays it. Exits 1 when anything failed or a promised class of faults never came.
 *
 *   npm run fuzz -- --count 10000000 --seed 1 --jobs 2
 *   npm run fuzz -- --replay fuzz-failure-1-42.json
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { heldBytes } from './allocation-gauge.js'
import { BATCH_INPUTS, runBatch } from './batch.js'
import { missing, PROMISED_FROM_INPUTS } from './promises.js'
import { explain, replayReproducer } from './reproducer.js'
import { Tally } from './tally.js'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    /** Processes that share the work. */
    jobs: { type: 'string', default: '2' },
    /** Every so many inputs the memory that one costs is measured. */
    'measure-every': { type: 'string', default: '1000' },
    replay: { type: 'string' },
    /** Internal: take every `jobs`-th batch and report to the parent. */
    worker: { type: 'string' },
  },
})

const count = Number(values.count)
const seed = Number(values.seed)
const jobs = Number(values.jobs)
const measureEvery = Number(values['measure-every'])
const batches = Math.ceil(count / BATCH_INPUTS)

/** What a worker says after each batch. */
interface Report {
  readonly batch: number
  readonly failure: string | undefined
  /** On the last one only. */
  readonly tally: Record<string, number> | undefined
}

const FAILURES_MAX = 20
/** A batch takes a fraction of a second: after this long without news an input does not come to an end. */
const SILENCE_MAX_MS = 120_000
const HELD_EVERY_BATCHES = 50
/** What the last life left is collected sooner or later, and a life may be large: the least of so many looks counts. */
const HELD_LOOKS = 5
/** Beyond the least of the first looks. */
const HELD_GROWTH_MAX_BYTES = 32 * 1024 * 1024

if (![count, seed, jobs, measureEvery].every((value) => Number.isInteger(value) && value >= 1)) {
  console.error('count, seed, jobs and measure-every are whole numbers of at least 1')
  process.exitCode = 2
} else if (values.replay !== undefined) showReplay(values.replay)
else if (values.worker !== undefined) work(Number(values.worker))
else await sweep()

function showReplay(path: string): void {
  const { before, now } = replayReproducer(path)
  console.log(`found as: ${before}`)
  console.log(now === undefined ? 'nothing is wrong now' : `still: ${now}`)
  process.exitCode = now === undefined ? 0 : 1
}

function work(offset: number): void {
  const tally = new Tally()
  const held: number[] = []
  for (let batch = offset, done = 1; batch < batches; batch += jobs, done++) {
    const inputs = Math.min(BATCH_INPUTS, count - batch * BATCH_INPUTS)
    const found = runBatch({ seed, batch, inputs, tally, measureEvery })
    let failure = found === undefined ? undefined : explain(found)
    if (done % HELD_EVERY_BATCHES === 0) {
      held.push(heldBytes())
      const growth = Math.min(...held.slice(-HELD_LOOKS)) - Math.min(...held.slice(0, HELD_LOOKS))
      tally.raise('most bytes held beyond the first looks', growth)
      if (growth > HELD_GROWTH_MAX_BYTES) failure ??= `seed ${seed}: ${growth} bytes more are held after batch ${batch}`
    }
    const isLast = batch + jobs >= batches
    process.send?.({ batch, failure, tally: isLast ? tally.toJSON() : undefined } satisfies Report)
  }
}

async function sweep(): Promise<void> {
  const startedAt = performance.now()
  const tally = new Tally()
  const failures: string[] = []
  let done = 0
  const take = ({ failure, tally: counts }: Report): void => {
    done++
    if (failure !== undefined && failures.push(failure) <= FAILURES_MAX) console.log(failure)
    if (counts !== undefined) tally.merge(counts)
  }
  const progress = setInterval(() => console.log(`${done} of ${batches} batches, ${failures.length} failures`), 30_000)
  const ends = await Promise.all(Array.from({ length: Math.min(jobs, batches) }, (_, job) => runWorker(job, take)))
  clearInterval(progress)
  const seconds = (performance.now() - startedAt) / 1_000
  for (const [what, times] of Object.entries(tally.toJSON())) console.log(`  ${what.padEnd(60)} ${times}`)
  const lacking = count >= PROMISED_FROM_INPUTS ? missing(tally) : []
  for (const what of lacking) console.log(`never happened, so nothing was shown about it: ${what}`)
  const isGood = failures.length === 0 && lacking.length === 0 && ends.every((ended) => ended) && done === batches
  console.log(
    `${count} inputs, seed ${seed}, ${seconds.toFixed(1)} s, ${Math.round(count / seconds)} a second, ${jobs} jobs`,
  )
  console.log(isGood ? 'all held' : `${failures.length} failures, ${done} of ${batches} batches done`)
  process.exitCode = isGood ? 0 : 1
}

function runWorker(job: number, take: (report: Report) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--worker', String(job)])
    let next = job
    let watch = watchFor(child, next)
    child.on('message', (message) => {
      const report = message as Report
      clearTimeout(watch)
      next = report.batch + jobs
      watch = watchFor(child, next)
      take(report)
    })
    child.on('exit', (code) => {
      clearTimeout(watch)
      resolve(code === 0)
    })
  })
}

function watchFor(child: ChildProcess, batch: number): NodeJS.Timeout {
  return setTimeout(() => {
    console.log(`seed ${seed}, batch ${batch} does not come to an end`)
    child.kill('SIGKILL')
  }, SILENCE_MAX_MS)
}
