/**
 * Every error a user can meet, in one place. A code is part of semver, a message is not. A call's failure also says
 * what is known about its execution, and that alone decides whether another instance may be tried.
 */

/** What is known about the execution of a failed call. */
export type Executed = 'no' | 'maybe' | 'yes'

/** Codes of failed calls. */
export type CallErrorCode =
  | 'NO_INSTANCES' // no running instance is known
  | 'NOT_PROVIDED' // that node has no such service
  | 'NO_METHOD' // the service has no such method
  | 'UNAVAILABLE' // paused, failed, starting or stopping
  | 'DRAINING'
  | 'OVERLOADED'
  | 'UNREACHABLE' // could not connect, or the peer was not the expected node
  | 'CONNECTION_LOST'
  | 'DEADLINE_EXCEEDED'
  | 'CANCELLED'
  | 'REMOTE' // the handler threw
  | 'INVALID_ARGUMENT'
  | 'UNAUTHORIZED'
  | 'SERVICE_ID_MISSING'
  | 'TOO_LARGE'
  | 'CLOSED'

/** Codes of the node's own operations. */
export type NodeErrorCode =
  | 'JOIN_FAILED'
  | 'NAME_CONFLICT'
  | 'WAIT_TIMEOUT'
  | 'SERVICE_FAILED' // a start or stop hook failed, or took too long
  | 'CLOSED'
  | 'INVALID_OPTION'
  | 'INVALID_ARGUMENT'
  | 'CANCELLED'
  | 'TOO_LARGE'
  | 'UNREACHABLE'
  | 'OVERLOADED'

/** Codes of troubles of the cluster that stop nothing; they come as `fault` events. */
export type MembershipFaultCode =
  | 'UDP_BLOCKED' // a member answers over TCP and not over UDP; once for each until it recovers
  | 'VERSION_CONFLICT' // a peer speaks other protocol versions: nothing of it was merged
  | 'PEER_ERROR' // a push/pull with a member failed, or was refused by it
  | 'MEMBER_REFUSED' // a hook keeps a node out
  | 'MERGE_REFUSED' // a hook has turned a joining node away
  | 'HOOK_FAILED' // a hook threw or rejected, which refuses; see `cause`
  | 'SNAPSHOT_FAILED' // the file of known members could not be read or written
  | 'SOCKET_ERROR' // the gossip socket told of trouble and stays open; once for each system code

/** Codes of troubles of the calls' channel that stop nothing; they come as `fault` events. */
export type RpcFaultCode =
  | 'CALLER_REFUSED' // callers of another cluster, with other keys or certificates, or that are no nodes; once a minute
  | 'HOOK_FAILED' // `authorize` threw or rejected, which refuses the call; see `cause`

export type ErrorCode = CallErrorCode | NodeErrorCode | MembershipFaultCode | RpcFaultCode

// One registered symbol per kind: the ESM and the CJS build have different classes, and guards must work across them.
const SHOAL = Symbol.for('shoal.error')
const RPC = Symbol.for('shoal.rpc-error')

/** Base of every error that shoal throws or rejects with. */
export class ShoalError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'ShoalError'
    this.code = code
    Object.defineProperty(this, SHOAL, { value: true })
  }
}

/** A list of services did not come up in time; nothing was changed. */
export class WaitTimeoutError extends ShoalError {
  /** The services that still had too few instances. */
  readonly missing: readonly string[]

  constructor(missing: readonly string[], timeoutMs: number) {
    super('WAIT_TIMEOUT', `no instances within ${timeoutMs} ms of: ${missing.join(', ')}`)
    this.name = 'WaitTimeoutError'
    this.missing = missing
  }
}

export interface MembershipFaultFields {
  readonly member?: string | undefined
  readonly peer?: string | undefined
  readonly local?: string | undefined
  readonly reason?: string | undefined
  readonly cause?: unknown
}

/** Trouble of the cluster, as a `fault` event tells it. Nothing was stopped by it. */
export class MembershipFault extends ShoalError {
  declare readonly code: MembershipFaultCode
  /** The member that it is about, where one is known. */
  readonly member: string | undefined
  /** The other side's `host:port`. */
  readonly peer: string | undefined
  /** This node's `host:port`, where the way between the two is the trouble. */
  readonly local: string | undefined
  readonly reason: string | undefined

  constructor(code: MembershipFaultCode, message: string, fields: MembershipFaultFields) {
    super(code, message, fields.cause === undefined ? undefined : { cause: fields.cause })
    this.name = 'MembershipFault'
    this.member = fields.member
    this.peer = fields.peer
    this.local = fields.local
    this.reason = fields.reason
  }
}

/** What a handler on another node threw, as far as it travels. */
export interface RemoteFailure {
  readonly name: string
  readonly message: string
  readonly code?: string | number
  readonly data?: unknown
  /** Only when the callee opts in. */
  readonly stack?: string
}

/** One try of a call on one instance. */
export interface FailedAttempt {
  readonly node: string
  readonly code: CallErrorCode
  readonly executed: Executed
  readonly message: string
}

export interface RpcErrorFields {
  readonly executed: Executed
  /** The node that was called; absent when no instance was tried. */
  readonly node?: string | undefined
  readonly attempts?: readonly FailedAttempt[] | undefined
  readonly remote?: RemoteFailure | undefined
  readonly cause?: unknown
}

/** A call failed. `executed` says whether the work may have been done. */
export class RpcError extends ShoalError {
  declare readonly code: CallErrorCode
  readonly executed: Executed
  readonly node: string | undefined
  /** Every instance that was tried, in order, when the call had more than one candidate or failed over. */
  readonly attempts: readonly FailedAttempt[]
  readonly remote: RemoteFailure | undefined

  constructor(code: CallErrorCode, message: string, fields: RpcErrorFields) {
    super(code, message, fields.cause === undefined ? undefined : { cause: fields.cause })
    this.name = 'RpcError'
    this.executed = fields.executed
    this.node = fields.node
    this.attempts = fields.attempts ?? []
    this.remote = fields.remote
    Object.defineProperty(this, RPC, { value: true })
  }
}

/** True for an error of shoal, also one made by another copy or build of the package. */
export function isShoalError(error: unknown, code?: ErrorCode): error is ShoalError {
  return isBranded(error, SHOAL) && (code === undefined || (error as ShoalError).code === code)
}

/** True for a failed call, optionally with this code; works across the ESM and the CJS build. */
export function isRpcError(error: unknown, code?: CallErrorCode): error is RpcError {
  return isBranded(error, RPC) && (code === undefined || (error as RpcError).code === code)
}

/** Thrown in an exhaustive `switch` that met a value its type excludes: always a bug of ours. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`)
}

function isBranded(error: unknown, brand: symbol): boolean {
  return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[brand] === true
}
