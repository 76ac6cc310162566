/**
 * The life of one service on its own node: what its operator wants (admin status), what it does (running status), and
 * which of the provider's hooks has to run for that. One table decides it all. Knows no timers, no hooks and no records.
 */
import { unreachable } from '../errors.js'
import type { ServiceStatus } from './record.js'

/** What the operator wants: `active` to run, `pause` to take no calls but stay started, `inactive` to be stopped. */
export type AdminStatus = 'active' | 'pause' | 'inactive'

/** What happens to a service. The first five are orders, the others are news of what they brought. */
export type LifecycleInput =
  | 'activate'
  | 'pause'
  | 'deactivate'
  | 'drain'
  | 'retry'
  | 'started'
  | 'start-failed'
  | 'stopped'
  | 'idle' // no call of it runs any more
  | 'unhealthy'
  | 'healthy'

export interface LifecycleState {
  readonly admin: AdminStatus
  readonly status: ServiceStatus
  /** The start hook has done its work, and the stop hook has not undone it. */
  readonly isStarted: boolean
}

export interface LifecycleStep {
  readonly state: LifecycleState
  /** To be run now; its end comes back as `started`, `start-failed` or `stopped`. */
  readonly hook: 'start' | 'stop' | undefined
}

/** A service that begins its life: with `paused` it waits, unlisted and not started, for `activate`. */
export function firstStep(paused: boolean): LifecycleStep {
  if (paused) return stay({ admin: 'pause', status: 'paused', isStarted: false })
  return starting('active')
}

/**
 * | status \ input | activate | pause | deactivate | drain | news |
 * |---|---|---|---|---|---|
 * | starting | - | later | later | as pause | started: running, or what was ordered meanwhile; start-failed: failed |
 * | running | - | pausing | stopping | draining | unhealthy: failed |
 * | pausing | running | - | stopping | draining | idle: paused |
 * | paused | running, or starting when it never started | - | stopping, or stopped | draining | |
 * | draining | running | pausing | stopping | - | |
 * | stopping | later | later | - | nothing is obeyed later | stopped: stopped, or what was ordered meanwhile |
 * | stopped | starting | starting, then paused | - | - | |
 * | failed, not started | starting (retry too) | no retry | stopped | as pause | |
 * | failed, started | - | pausing | stopping | draining | healthy: running |
 *
 * An input that means nothing in a state changes nothing. To drain what is not started is to keep it from starting: it
 * must not come up behind the back of whoever drains it.
 */
export function nextStep(state: LifecycleState, input: LifecycleInput): LifecycleStep {
  switch (input) {
    case 'activate':
      return activate({ ...state, admin: 'active' })
    case 'pause':
      return pause({ ...state, admin: 'pause' })
    case 'deactivate':
      return deactivate({ ...state, admin: 'inactive' })
    case 'drain':
      return drain(state)
    case 'retry':
      return state.status === 'failed' && !state.isStarted && state.admin === 'active'
        ? starting(state.admin)
        : stay(state)
    case 'started':
      return state.status === 'starting' ? obey({ ...state, isStarted: true, status: 'running' }) : stay(state)
    case 'start-failed':
      if (state.status !== 'starting') return stay(state)
      return stay({ ...state, status: state.admin === 'inactive' ? 'stopped' : 'failed' })
    case 'stopped':
      return state.status === 'stopping' ? obey({ ...state, isStarted: false, status: 'stopped' }) : stay(state)
    case 'idle':
      return stay(state.status === 'pausing' ? { ...state, status: 'paused' } : state)
    case 'unhealthy':
      return stay(state.status === 'running' ? { ...state, status: 'failed' } : state)
    case 'healthy':
      return stay(state.status === 'failed' && state.isStarted ? { ...state, status: 'running' } : state)
    default:
      return unreachable(input)
  }
}

/** True while a hook runs: an order given now is obeyed when it has ended. */
export function isInTransition({ status }: LifecycleState): boolean {
  return status === 'starting' || status === 'stopping'
}

/** After a hook: what the operator wants by now. */
function obey(state: LifecycleState): LifecycleStep {
  if (state.admin === 'active') return activate(state)
  return state.admin === 'pause' ? pause(state) : deactivate(state)
}

function activate(state: LifecycleState): LifecycleStep {
  if (isInTransition(state) || state.status === 'running') return stay(state)
  if (!state.isStarted) return starting(state.admin)
  // Only its own checks bring back what failed them.
  return stay(state.status === 'failed' ? state : { ...state, status: 'running' })
}

function pause(state: LifecycleState): LifecycleStep {
  if (isInTransition(state) || state.status === 'paused' || state.status === 'pausing') return stay(state)
  if (state.isStarted) return stay({ ...state, status: 'pausing' })
  return state.status === 'stopped' ? starting(state.admin) : stay(state)
}

function deactivate(state: LifecycleState): LifecycleStep {
  if (isInTransition(state) || state.status === 'stopped') return stay(state)
  return state.isStarted
    ? { state: { ...state, status: 'stopping' }, hook: 'stop' }
    : stay({ ...state, status: 'stopped' })
}

function drain(state: LifecycleState): LifecycleStep {
  if (state.status === 'stopping') return stay({ ...state, admin: 'inactive' })
  if (state.isStarted) return stay({ ...state, status: 'draining' })
  return stay(state.admin === 'active' ? { ...state, admin: 'pause' } : state)
}

function starting(admin: AdminStatus): LifecycleStep {
  return { state: { admin, status: 'starting', isStarted: false }, hook: 'start' }
}

function stay(state: LifecycleState): LifecycleStep {
  return { state, hook: undefined }
}
