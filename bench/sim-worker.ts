/** A process for simulations: takes one job after another from the bench, and ends with it. */
import { unreachable } from '../src/errors.js'
import type { Answer, Job } from './lib/job.js'
import { runGrowth } from './scenarios/growth.js'
import { runInterval, runThreshold } from './scenarios/lifeguard.js'
import { runBoot, runQuiet } from './scenarios/sim.js'

function answer(job: Job): Answer {
  switch (job.kind) {
    case 'boot':
      return { kind: 'boot', figures: runBoot(job) }
    case 'quiet':
      return { kind: 'quiet', figures: runQuiet(job) }
    case 'growth':
      return { kind: 'growth', figures: runGrowth(job.run) }
    case 'interval':
      return { kind: 'interval', figures: runInterval(job.run) }
    case 'threshold':
      return { kind: 'threshold', figures: runThreshold(job.run) }
    default:
      return unreachable(job)
  }
}

process.on('message', (job: Job) => {
  try {
    process.send?.({ answer: answer(job) })
  } catch (error) {
    process.send?.({ error: String(error) })
  }
})
// The bench is gone: nobody is left to compute for.
process.on('disconnect', () => process.exit(0))
