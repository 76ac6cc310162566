/**
 * Worker processes that share a list of jobs: each takes the next one as soon as it is free. A job that fails is told of,
 * and the others go on, on a new process if need be. `runJobs` leaves no process behind, whether it ends well or not.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { totalmem } from 'node:os'
import type { Answer, Job } from './job.js'
import type { Owner } from './owner.js'

export interface PoolOptions {
  /** The worker's program. */
  readonly file: string
  readonly processes: number
  readonly owner: Owner
  /** False: it is not begun, and has no answer. */
  readonly onStart: (job: Job) => boolean
  readonly onFailure: (job: Job, reason: string) => void
  /** True: it has taken too long and is given up without an answer. */
  readonly isOverdue: (job: Job) => boolean
}

/** A thousand simulated nodes need more than the default heap; what is too much is told beforehand. */
const HEAP_MIB = Math.floor((0.9 * totalmem()) / 2 ** 20)

const OVERDUE_LOOK_MS = 1_000

/** Answers in the order of the jobs; none for those that failed. */
export async function runJobs(jobs: readonly Job[], options: PoolOptions): Promise<(Answer | undefined)[]> {
  const answers: (Answer | undefined)[] = jobs.map(() => undefined)
  const queue = [...jobs.entries()]
  const lane = async (): Promise<void> => {
    let worker: ChildProcess | undefined
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [index, job] = next
        if (!options.onStart(job)) continue
        if (worker?.connected !== true) worker = startWorker(options)
        answers[index] = await askPatiently(worker, job, options)
      }
    } finally {
      worker?.kill()
    }
  }
  await Promise.all(Array.from({ length: Math.min(options.processes, jobs.length) }, lane))
  return answers
}

async function askPatiently(worker: ChildProcess, job: Job, options: PoolOptions): Promise<Answer | undefined> {
  let givenUp = false
  const watch = setInterval(() => {
    givenUp ||= options.isOverdue(job)
    if (givenUp) worker.kill('SIGKILL')
  }, OVERDUE_LOOK_MS)
  try {
    return await ask(worker, job)
  } catch (error) {
    if (!givenUp) options.onFailure(job, error instanceof Error ? error.message : String(error))
    return undefined
  } finally {
    clearInterval(watch)
  }
}

function startWorker({ file, owner }: PoolOptions): ChildProcess {
  const execArgv = [`--max-old-space-size=${HEAP_MIB}`]
  const worker = fork(file, { execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  owner.adopt(worker)
  return worker
}

function ask(worker: ChildProcess, job: Job): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`its process ended with ${code}`))
    worker.once('exit', onExit)
    worker.once('message', (reply: { readonly answer?: Answer; readonly error?: string }) => {
      worker.off('exit', onExit)
      if (reply.answer !== undefined) resolve(reply.answer)
      else reject(new Error(reply.error))
    })
    worker.send(job)
  })
}
