/** Every bound and time of the rpc transport, with its default. What happens at a bound is said where it is enforced. */
import { FRAME_BYTES_MAX } from './frame.js'

export interface RpcLimits {
  /**
   * Longest message read or written, in one frame or in pieces; arguments, results and items of streams above it fail
   * with TOO_LARGE. Default 16 MiB and 64 KiB for the envelope.
   */
  readonly frameBytesMax: number
  /**
   * Bytes written on a connection and not taken by the kernel. A caller's new calls fail with OVERLOADED above it; a
   * callee reads no more from that connection until they are gone, nor with 256 KiB of it that did not leave in pieces.
   * Default 64 MiB.
   */
  readonly unsentBytesMax: number
  /**
   * Replies that wait for the callers of a node to read, of all connections: past it the one for which most waits is
   * closed. Default 512 MiB.
   */
  readonly unsentBytesNodeMax: number
  /**
   * Memory for what a connection sent and nobody has taken yet: messages of which pieces are missing, long frames that
   * have begun, and items of streams. A connection that goes past it is closed. Default 256 MiB.
   */
  readonly receivedBytesMax: number
  /** The same for all connections of a node. Default 512 MiB. */
  readonly receivedBytesNodeMax: number
  /** A connection whose other side takes nothing for this long is closed. Default 30 s. */
  readonly stallMs: number
  /** Calls in flight on one connection of a caller. Default 65,536. */
  readonly outgoingCallsMax: number
  /** Calls that wait for one peer's connection to open. Default 10,000. */
  readonly waitingCallsMax: number
  /** Calls of one connection that run on the callee; above it they are refused with OVERLOADED. Default 10,000. */
  readonly incomingCallsMax: number
  /** Calls with streams among those of one connection, counted on either side; more are refused with OVERLOADED. Default 4,096. */
  readonly streamsMax: number
  /** Connections that a caller keeps; the longest idle one makes room. Default 1,024. */
  readonly outgoingConnectionsMax: number
  /** Connections that a callee accepts; for more, one that has not said hello is closed, else the new one. Default 4,096. */
  readonly incomingConnectionsMax: number
  /** Of these, how many may not have said hello yet; for more, the oldest of them is closed. Default 256. */
  readonly anonymousConnectionsMax: number
  /** How long an accepted connection may take for its TLS handshake, and again for its hello. Default 2 s. */
  readonly helloMs: number
  /** Bytes that it may send for its TLS handshake; one that sends more is closed. Default 64 KiB. */
  readonly handshakeBytesMax: number
  /** Connecting, the TLS handshake and the exchange of hellos. Default 2 s: a lost SYN is sent again only after one. */
  readonly connectMs: number
  /** First delay after a failed connect, with jitter. Default 50 ms, doubling. */
  readonly backoffMs: number
  /** Default 2 s. */
  readonly backoffMsMax: number
  /** A connection without a call for this long is closed. Default 60 s. */
  readonly idleMs: number
  /** Silence while a call waits that brings a ping. Default 1 s. */
  readonly pingMs: number
  /**
   * Silence after a ping by which other instances are preferred, and by which a connection to a member called dead is
   * given up. Default 1 s.
   */
  readonly probeMs: number
  /**
   * Silence after a ping by which a connection is given up though nobody calls its member dead. Default 10 s: a callee
   * that computes without a break does not answer either, and its calls would be lost for nothing.
   */
  readonly silenceMs: number
}

const DEFAULTS: RpcLimits = {
  frameBytesMax: FRAME_BYTES_MAX,
  unsentBytesMax: 67_108_864,
  unsentBytesNodeMax: 536_870_912,
  receivedBytesMax: 268_435_456,
  receivedBytesNodeMax: 536_870_912,
  stallMs: 30_000,
  outgoingCallsMax: 65_536,
  waitingCallsMax: 10_000,
  incomingCallsMax: 10_000,
  streamsMax: 4_096,
  outgoingConnectionsMax: 1_024,
  incomingConnectionsMax: 4_096,
  anonymousConnectionsMax: 256,
  helloMs: 2_000,
  handshakeBytesMax: 65_536,
  connectMs: 2_000,
  backoffMs: 50,
  backoffMsMax: 2_000,
  idleMs: 60_000,
  pingMs: 1_000,
  probeMs: 1_000,
  silenceMs: 10_000,
}

export function resolveRpcLimits(limits: Partial<RpcLimits> | undefined): RpcLimits {
  return { ...DEFAULTS, ...limits }
}

/** Once a slab holds this much it leaves at once. */
export const FLUSH_BYTES = 65_536
/** How often deadlines that are near are looked at: the precision of every timeout of a call. */
export const SWEEP_MS = 25
/** How often whatever waits is looked at while no deadline is near. */
export const LOOK_MS = 100
/** How often idle connections are. */
export const HOUSEKEEPING_MS = 1_000
/** How long the end of a connection may take before it is cut. */
export const CLOSE_MS = 1_000
