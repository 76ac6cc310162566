/**
 * Worker processes that share a list of jobs: each takes the next one as soon as it is free. Results come back in the
 * order of the jobs. `runJobs` leaves no process behind, whether it ends well or not.
 */
import { type ChildProcess, fork } from 'node:child_process'
import type { Answer, Job } from './job.js'

export interface PoolOptions {
  /** The worker's program. */
  readonly file: string
  readonly processes: number
  readonly onStart: (job: Job) => void
}

/** A thousand simulated nodes need more than the default heap. */
const HEAP_MIB = 8_192

export async function runJobs(jobs: readonly Job[], options: PoolOptions): Promise<Answer[]> {
  const answers: Answer[] = []
  const queue = [...jobs.entries()]
  const workers = Array.from({ length: Math.min(options.processes, jobs.length) }, () => startWorker(options.file))
  const work = async (worker: ChildProcess): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, job] = next
      options.onStart(job)
      answers[index] = await ask(worker, job)
    }
  }
  try {
    await Promise.all(workers.map(work))
  } finally {
    for (const worker of workers) worker.kill()
  }
  return answers
}

function startWorker(file: string): ChildProcess {
  const execArgv = [`--max-old-space-size=${HEAP_MIB}`]
  return fork(file, { execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
}

function ask(worker: ChildProcess, job: Job): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`a worker ended (${code}) during ${job.kind}`))
    worker.once('exit', onExit)
    worker.once('message', (reply: { readonly answer?: Answer; readonly error?: string }) => {
      worker.off('exit', onExit)
      if (reply.answer !== undefined) resolve(reply.answer)
      else reject(new Error(`${job.kind}: ${reply.error}`))
    })
    worker.send(job)
  })
}
