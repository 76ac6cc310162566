/** What the calling and the called side of a node are made of, and what they show of themselves. */
import type { HostPort } from '../address.js'
import type { Random } from '../random.js'
import type { Runtime } from '../runtime.js'
import type { Authorize } from './authorization.js'
import type { RpcTlsOptions } from './certificate-security.js'
import type { CodecChoice } from './codec-choice.js'
import type { Directory, PeerEvidence } from './directory.js'
import type { HandlersStats } from './handlers-options.js'
import type { RpcLimits } from './limits.js'
import type { LocalPassing } from './local-attempt.js'
import type { Middleware } from './middleware.js'
import type { OutgoingMiddleware } from './outgoing-layers.js'
import type { PeersStats } from './peers.js'
import type { RpcServerStats } from './server.js'

export interface RpcOptions {
  readonly cluster: string
  readonly node: string
  readonly bootId: string
  readonly directory: Directory
  /** Where to listen; port 0 takes a free one. */
  readonly bind: HostPort
  readonly limits?: Partial<RpcLimits> | undefined
  /** How values pass between caller and handler of this process. Default by reference. */
  readonly local?: LocalPassing | undefined
  /** How arguments and results become bytes. Default `plain`. */
  readonly codec?: CodecChoice | undefined
  /** Send the stack of a thrown error to the caller. Default false. */
  readonly exposeStacks?: boolean | undefined
  readonly random?: Random | undefined
  /** The raw keys of the cluster, the primary first: callers and callees have to have one. Default plaintext. */
  readonly keys?: readonly Uint8Array[] | undefined
  /** Certificates in place of the keys. */
  readonly tls?: RpcTlsOptions | undefined
  /** Asked for each incoming call. */
  readonly authorize?: Authorize | undefined
  /** @internal Time and sockets of another world than the system's. */
  readonly runtime?: Runtime | undefined
  /** Around every incoming call, outside the middleware of its service. */
  readonly use?: readonly Middleware[] | undefined
  /** Around every call that is made here. */
  readonly useOutgoing?: readonly OutgoingMiddleware[] | undefined
  /** What connections show of a peer. */
  readonly onEvidence?: ((node: string, evidence: PeerEvidence) => void) | undefined
  /** Trouble that no caller hears of, or that is not theirs: a failed cast, a result that breaks its contract. */
  readonly onFault?: ((error: Error) => void) | undefined
}

export interface RpcStats {
  readonly handlers: HandlersStats
  readonly peers: PeersStats
  readonly server: RpcServerStats
  /** By what calls of other nodes are protected. */
  readonly security: 'none' | 'keys' | 'certificates'
  /** Calls to this process itself that wait for their handler. */
  readonly localPending: number
  /** Calls that wait for their next pass. */
  readonly retryPauses: number
  /** Retries that were not made since there were too many of them. */
  readonly retriesDenied: number
  /** Instances, and whole nodes, that are tried last for a while since they did not answer; and how often one was. */
  readonly circuits: { readonly ejected: number; readonly ejections: number }
}
