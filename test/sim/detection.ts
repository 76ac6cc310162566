/**
 * How long a crash may stay unnoticed, from the detector's own formulas, and the checker that holds a run to it. For a
 * network without loss: with it, probes fail for other reasons and the bound is only a likely one.
 */
import type { SwimConfig } from '../../src/membership/config.js'
import { suspicionLimits } from '../../src/membership/suspicion.js'
import type { Checker } from './findings.js'
import type { Observation } from './observation.js'

/**
 * Each of n nodes probes a random member per interval, so that nobody looks for k intervals with probability e^-k; a
 * single node looks at every other within 2n - 1 (SWIM 4.3).
 */
const UNLIKELY_INTERVALS = 14
/** Bursts and a few gossip ticks. */
const SPREAD_MS = 2_000

/** From a crash until every running node holds it dead. */
export function detectionBoundMs(config: SwimConfig, members: number): number {
  const probes = Math.min(2 * members - 1, UNLIKELY_INTERVALS) * config.probeIntervalMs
  return probes + config.probeIntervalMs + suspicionLimits(config, members).maxMs + SPREAD_MS
}

interface Death {
  readonly node: string
  readonly at: number
  readonly waiting: Set<string>
}

/** Every node that runs all the time from a crash to its bound sees it dead by then; it is judged as later things happen. */
export function crashesNoticed(boundMs: number): Checker & { readonly noticedMs: readonly number[] } {
  const violations: string[] = []
  const noticedMs: number[] = []
  const running = new Map<string, string>()
  const deaths = new Map<string, Death>()
  const handle = (observation: Observation): void => {
    switch (observation.type) {
      case 'boot':
        running.set(observation.node, observation.boot)
        break
      case 'crash': {
        drop(running, deaths, observation.node)
        const { node, at, boot } = observation
        deaths.set(boot, { node, at, waiting: new Set(running.keys()) })
        break
      }
      case 'leave':
        drop(running, deaths, observation.node)
        break
      case 'member':
        if (observation.event === 'dead') notice(observation)
        break
      default:
        break
    }
  }
  const notice = ({ boot, observer, at }: Observation & { type: 'member' }): void => {
    const death = deaths.get(boot)
    if (death?.waiting.delete(observer) !== true || death.waiting.size > 0) return
    noticedMs.push(at - death.at)
    deaths.delete(boot)
  }
  return {
    name: 'crashes are noticed in time',
    violations,
    noticedMs,
    observe(observation) {
      for (const [boot, { node, at, waiting }] of deaths) {
        if (observation.at <= at + boundMs) break // crashes come in order
        deaths.delete(boot)
        if (waiting.size > 0)
          violations.push(`${node} crashed at ${Math.round(at)} ms, ${[...waiting].join(', ')} did not see it in time`)
      }
      handle(observation)
    },
  }
}

function drop(running: Map<string, string>, deaths: Map<string, Death>, node: string): void {
  running.delete(node)
  for (const death of deaths.values()) death.waiting.delete(node)
}
