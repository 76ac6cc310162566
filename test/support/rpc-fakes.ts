/** Scripted stand-ins for the parts around the calling functions: attempts, a directory, a clock that moves by hand. */
import { type CallErrorCode, type Executed, RpcError } from '../../src/errors.js'
import type { Attempt, CallRequest, IncomingCall } from '../../src/rpc/call.js'
import type { CallerOptions } from '../../src/rpc/caller.js'
import { Circuits } from '../../src/rpc/circuits.js'
import type { Candidate, Directory } from '../../src/rpc/directory.js'
import { RetryBudget } from '../../src/rpc/retry-budget.js'

export function candidate(node: string, local = false): Candidate {
  return { node, bootId: `boot-${node}`, address: `${node}:1`, local }
}

export function callRequest(changes: Partial<CallRequest> = {}): CallRequest {
  return {
    service: 'users',
    method: 'get',
    args: ['42'],
    deadlineAt: 1_000,
    headers: undefined,
    signal: undefined,
    cast: false,
    ...changes,
  }
}

export function incomingCall(changes: Partial<IncomingCall> = {}): IncomingCall {
  return {
    service: 'users',
    method: 'get',
    args: ['42'],
    deadlineAt: 1_000,
    headers: {},
    caller: { node: 'web', address: '10.0.0.1:1', verified: false, certificate: undefined },
    cast: false,
    ...changes,
  }
}

export function failure(code: CallErrorCode, executed: Executed, node = 'n'): RpcError {
  return new RpcError(code, `${code} by ${node}`, { executed, node })
}

/** Answers by node: a value, or an error to reject with; a function is asked each time. Records what was tried. */
export class ScriptedAttempt {
  readonly tried: string[] = []
  readonly requests: CallRequest[] = []
  readonly #script: Readonly<Record<string, unknown>>

  constructor(script: Readonly<Record<string, unknown>>) {
    this.#script = script
  }

  readonly attempt: Attempt = async ({ node }, request) => {
    this.tried.push(node)
    this.requests.push(request)
    const entry = this.#script[node]
    const answer = typeof entry === 'function' ? await entry(request) : entry
    if (answer instanceof Error) throw answer
    return answer
  }
}

/** Instances by service; nodes by name when asked for. */
export function directoryOf(services: Record<string, readonly Candidate[]>): Directory {
  return {
    candidates(service, _method, { nodes }) {
      if (nodes === undefined) return services[service] ?? []
      const all = Object.values(services).flat()
      return nodes.flatMap((node) => all.find((c) => c.node === node) ?? [])
    },
  }
}

export class HandClock {
  at = 0
  readonly now = (): number => this.at
}

/** What a promise rejects with; fails when it resolves. */
export async function rejection(promise: Promise<unknown>): Promise<RpcError> {
  const value = await promise.then(
    (resolved) => ({ resolved }),
    (error: RpcError) => error,
  )
  if (value instanceof RpcError) return value
  throw new Error(`expected an RpcError, got ${JSON.stringify(value)} ${String(value)}`)
}

/** A caller's parts that stay out of the way. */
export function quietParts(now: () => number): Pick<CallerOptions, 'circuits' | 'budget' | 'setTimer'> {
  return { circuits: new Circuits(), budget: new RetryBudget(now()), setTimer: () => () => {} }
}
