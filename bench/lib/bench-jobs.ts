/** Jobs of simulations as a suite gives them out: on processes of the run, with a step for each. */
import { type Answer, describeJob, type Job } from './job.js'
import { runJobs } from './pool.js'
import type { Bench } from './suite.js'

export interface JobOptions {
  readonly processes: number
  /** Jobs that are not begun, or given up, once the suite has used up its time. Default none. */
  readonly isSpare?: (job: Job) => boolean
}

/** Answers in the order of the jobs; a job that failed is a miss and has none. */
export async function runBenchJobs(
  bench: Bench,
  jobs: readonly Job[],
  { processes, isSpare = () => false }: JobOptions,
): Promise<readonly (Answer | undefined)[]> {
  return runJobs(jobs, {
    file: await bench.program('sim-worker'),
    processes,
    owner: bench.owner,
    onStart: (job) => {
      if (isSpare(job) && bench.isLate()) return false
      bench.step(describeJob(job))
      return true
    },
    isOverdue: (job) => isSpare(job) && bench.isLate(),
    onFailure: (job, reason) => bench.miss(`${describeJob(job)}: ${reason}`),
  })
}

/** The answers of one kind with their jobs. */
export function answersOf<K extends Answer['kind']>(
  jobs: readonly Job[],
  answers: readonly (Answer | undefined)[],
  kind: K,
): { readonly job: Job & { readonly kind: K }; readonly answer: Answer & { readonly kind: K } }[] {
  return jobs.flatMap((job, i) => {
    const answer = answers[i]
    if (answer?.kind !== kind || job.kind !== kind) return []
    return [{ job: job as Job & { readonly kind: K }, answer: answer as Answer & { readonly kind: K } }]
  })
}
