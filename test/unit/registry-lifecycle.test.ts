import { describe, expect, it } from 'vitest'
import { randomInt, seededRandom } from '../../src/random.js'
import { HealthTracker, resolveHealthCheck } from '../../src/registry/health-check.js'
import {
  firstStep,
  type LifecycleInput,
  type LifecycleState,
  type LifecycleStep,
  nextStep,
} from '../../src/registry/lifecycle.js'

/** The path of statuses, with `+hook` where one is to run. */
function path(first: LifecycleStep, inputs: readonly LifecycleInput[]): string[] {
  const steps = [first]
  for (const input of inputs) steps.push(nextStep((steps.at(-1) as LifecycleStep).state, input))
  return steps.map(({ state, hook }) => (hook === undefined ? state.status : `${state.status}+${hook}`))
}

const started = (...inputs: LifecycleInput[]): string[] => path(firstStep(false), ['started', ...inputs]).slice(1)

describe('a service', () => {
  it('runs its start hook before it runs', () => {
    expect(path(firstStep(false), ['started'])).toEqual(['starting+start', 'running'])
  })

  it('that begins paused is neither started nor listed until it is activated', () => {
    expect(path(firstStep(true), ['activate', 'started'])).toEqual(['paused', 'starting+start', 'running'])
  })

  it('that is paused stays started, and runs again at once', () => {
    expect(started('pause', 'idle', 'activate')).toEqual(['running', 'pausing', 'paused', 'running'])
    expect(started('pause', 'activate', 'idle')).toEqual(['running', 'pausing', 'running', 'running'])
  })

  it('that is deactivated runs its stop hook, and its start hook when it is activated again', () => {
    expect(started('deactivate', 'stopped', 'activate', 'started')).toEqual([
      'running',
      'stopping+stop',
      'stopped',
      'starting+start',
      'running',
    ])
  })

  it('that failed to start is started again while it is active, and not when it is not', () => {
    const failed = ['start-failed', 'retry', 'start-failed'] as const
    expect(path(firstStep(false), failed)).toEqual(['starting+start', 'failed', 'starting+start', 'failed'])
    expect(path(firstStep(false), ['start-failed', 'pause', 'retry']).slice(1)).toEqual(['failed', 'failed', 'failed'])
    expect(path(firstStep(false), ['start-failed', 'deactivate', 'retry'])).toEqual([
      'starting+start',
      'failed',
      'stopped',
      'stopped',
    ])
  })

  it('obeys what was ordered while a hook ran when the hook has ended', () => {
    expect(path(firstStep(false), ['pause', 'started'])).toEqual(['starting+start', 'starting', 'pausing'])
    expect(path(firstStep(false), ['deactivate', 'started'])).toEqual(['starting+start', 'starting', 'stopping+stop'])
    expect(path(firstStep(false), ['deactivate', 'start-failed'])).toEqual(['starting+start', 'starting', 'stopped'])
    expect(started('deactivate', 'activate', 'stopped')).toEqual([
      'running',
      'stopping+stop',
      'stopping',
      'starting+start',
    ])
  })

  it('that its checks fail comes back by its checks alone, and still obeys its operator', () => {
    expect(started('unhealthy', 'activate', 'healthy')).toEqual(['running', 'failed', 'failed', 'running'])
    expect(started('unhealthy', 'deactivate')).toEqual(['running', 'failed', 'stopping+stop'])
    expect(started('pause', 'unhealthy')).toEqual(['running', 'pausing', 'pausing'])
    expect(path(firstStep(false), ['start-failed', 'healthy'])).toEqual(['starting+start', 'failed', 'failed'])
  })

  it('that drains stays so until it is resumed or stopped', () => {
    expect(started('drain', 'idle', 'unhealthy', 'activate')).toEqual([
      'running',
      'draining',
      'draining',
      'draining',
      'running',
    ])
    expect(started('drain', 'deactivate')).toEqual(['running', 'draining', 'stopping+stop'])
  })

  it('that is drained before it was started does not come up by itself, only when it is activated', () => {
    expect(path(firstStep(false), ['drain', 'started', 'activate']).slice(1)).toEqual([
      'starting',
      'pausing',
      'running',
    ])
    expect(path(firstStep(false), ['start-failed', 'drain', 'retry', 'activate']).slice(1)).toEqual([
      'failed',
      'failed',
      'failed',
      'starting+start',
    ])
    expect(started('deactivate', 'activate', 'drain', 'stopped').slice(1)).toEqual([
      'stopping+stop',
      'stopping',
      'stopping',
      'stopped',
    ])
    expect(path(firstStep(true), ['drain'])).toEqual(['paused', 'paused'])
  })

  it('is never listed while a hook runs or before it is started, whatever is ordered', () => {
    const inputs: LifecycleInput[] = [
      'activate',
      'pause',
      'deactivate',
      'drain',
      'retry',
      'started',
      'start-failed',
      'stopped',
      'idle',
      'unhealthy',
      'healthy',
    ]
    const random = seededRandom(7)
    let running = 0
    for (let run = 0; run < 2_000; run++) {
      let state: LifecycleState = firstStep(random() < 0.5).state
      let hook = state.status === 'starting' ? 'start' : undefined
      for (let i = 0; i < 40; i++) {
        const step = nextStep(state, inputs[randomInt(random, inputs.length)] as LifecycleInput)
        // One hook at a time: none begins before the last one's end was told.
        if (step.hook !== undefined) expect(['starting', 'stopping']).toContain(step.state.status)
        if (state.status === 'starting' && step.state.status === 'starting') expect(step.hook).toBeUndefined()
        if (step.state.status === 'running') {
          running++
          expect(step.state).toMatchObject({ isStarted: true, admin: 'active' })
        }
        state = step.state
        hook = step.hook
      }
      expect(hook === undefined || state.status === 'starting' || state.status === 'stopping').toBe(true)
    }
    expect(running).toBeGreaterThan(1_000)
  })
})

const isTrue = (): boolean => true

describe('health checks', () => {
  it('so many failures in a row make a service unhealthy, so many successes healthy', () => {
    const tracker = new HealthTracker({ failures: 3, successes: 2 })
    const verdicts = [false, false, true, false, false, false, false, true, false, true, true].map((passed) =>
      tracker.take(passed),
    )
    expect(verdicts.map((verdict) => verdict ?? '-').join(' ')).toBe('- - - - - unhealthy - - - - healthy')
  })

  it('a function alone is checked every 10 s, at most 5 s each, and three failures count', () => {
    const check = isTrue
    expect(resolveHealthCheck(check)).toEqual({
      check,
      interval: 10_000,
      timeout: 5_000,
      failures: 3,
      successes: 1,
      delay: 1_000,
    })
    expect(resolveHealthCheck({ check, interval: 200 }).timeout).toBe(200)
  })

  it.each([
    [{ check: 'yes' }, /must be a function/],
    [{ check: isTrue, interval: 0 }, /interval is 0/],
    [{ check: isTrue, failures: 1.5 }, /failures is 1.5/],
    [{ check: isTrue, delay: -1 }, /delay is -1/],
  ])('what cannot be a check is refused by name: %o', (options, message) => {
    expect(() => resolveHealthCheck(options as never)).toThrow(message)
  })
})
