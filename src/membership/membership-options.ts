/** What starts a membership, and the rules of the options that need no socket to be checked. */
import { ShoalError } from '../errors.js'
import type { Random } from '../random.js'
import type { Runtime } from '../runtime.js'
import type { DelegateProtocol, Profile, SwimConfig } from './config.js'
import type { MemberEvent, Notice } from './effects.js'
import type { Sealing } from './envelope.js'
import type { AdmissionHooks } from './hooks.js'
import type { GossipKey, Keyring } from './keyring.js'
import type { PayloadHandler } from './payload.js'
import type { Resolver } from './resolver.js'
import { Sealer } from './sealer.js'
import type { Seeds } from './seed.js'
import type { SwimStats } from './swim-contract.js'

export interface MembershipOptions extends AdmissionHooks {
  /** memberlist's label: clusters with different ones never merge. `''` is unlabelled. At most 255 bytes. */
  readonly cluster: string
  /** Unique in the cluster, 1 to 255 bytes. */
  readonly name: string
  /** `host:port` of the UDP socket and the TCP listener; port 0 takes any that is free for both. Default `0.0.0.0:7946`. */
  readonly bind?: string
  /** What others are told: `host` or `host:port`. Default the bound address, for a wildcard the machine's own. */
  readonly advertise?: string
  /** `host:port`, `[v6]:port`, `dns://name:port`, `srv://name`, or a function that gives such texts, asked at each attempt. */
  readonly seeds?: Seeds
  /** How seeds' names are looked up. Default the system's way. */
  readonly resolver?: Resolver
  /**
   * A file in which the live members are kept, so that this node finds them again after a restart without its seeds. Its
   * directory must exist. `leave` empties it. Each node needs a file of its own; with a shared one the last writer wins.
   */
  readonly snapshot?: string
  readonly profile?: Profile
  readonly delegateProtocol?: DelegateProtocol
  /** Changes to the profile's numbers. */
  readonly tuning?: Partial<SwimConfig>
  readonly tags?: Readonly<Record<string, string>>
  /**
   * Encrypts gossip, UDP and TCP, with AES-GCM: the first key seals, all of them open; 16, 24 or 32 bytes each, raw or
   * in base64 as `serf keygen` prints it. Default none, which is plaintext. Whoever holds a key is trusted fully. Nothing
   * but gossip is protected by it here; in `createNode` the same option covers calls too.
   */
  readonly keys?: readonly GossipKey[]
  /**
   * Drops what is not sealed with one of the keys. Default true with keys. To encrypt a cluster that runs in plaintext,
   * restart its nodes with `keys` and both of these false, then with `verifyOutgoing` true, then with both true: each
   * step on all nodes before the next.
   */
  readonly verifyIncoming?: boolean
  /** Seals what is sent. Default true with keys. */
  readonly verifyOutgoing?: boolean
  /**
   * Addresses that may take part, as CIDR blocks such as `10.0.0.0/8`; packets, streams and members from elsewhere are
   * dropped and counted. Our own address need not be among them. Default all.
   */
  readonly allow?: readonly string[]
  /** Compresses (LZW, as memberlist does) what shrinks by it: push/pulls and large packets. Default false. */
  readonly compress?: boolean
  readonly payload?: PayloadHandler
  readonly random?: Random
  /** @internal Time and sockets of another world than the system's. */
  readonly runtime?: Runtime
  readonly onEvent?: (event: MemberEvent) => void
  /** Trouble that stops nothing. */
  readonly onNotice?: (notice: Notice) => void
}

export interface LeaveResult {
  /** The leave was sent as often as it is worth; false when the time ran out before. */
  readonly told: boolean
}

export interface MembershipStats extends SwimStats {
  readonly lagMs: number
  readonly packetsReceived: number
  /** Payload of the packets, without what UDP and IP add. */
  readonly packetBytesReceived: number
  /** Packets handed to the system; those that it did not take are counted again in `sendErrors`. */
  readonly packetsSent: number
  readonly packetBytesSent: number
  /** Packets that the system did not take: to the protocol they are lost. */
  readonly sendErrors: number
  /** The same by the system's code: EPERM, ENETUNREACH and so on. */
  readonly sendErrorsByCode: Readonly<Record<string, number>>
  readonly streamsRefused: number
  /** Writes of the snapshot that failed. */
  readonly snapshotErrors: number
  /** Listeners of ours that threw. */
  readonly listenerErrors: number
}

const NAME_BYTES_MAX = 255

/** Without keys there is nothing to verify by: who asks for it must not run in plaintext. */
export function resolveSealing(
  { keys, verifyIncoming, verifyOutgoing }: Pick<MembershipOptions, 'keys' | 'verifyIncoming' | 'verifyOutgoing'>,
  keyring: Keyring,
): Sealing | undefined {
  if (keys !== undefined) {
    return {
      cipher: new Sealer(keyring),
      verifyIncoming: verifyIncoming ?? true,
      verifyOutgoing: verifyOutgoing ?? true,
    }
  }
  if (verifyIncoming === true || verifyOutgoing === true)
    throw new ShoalError('INVALID_OPTION', 'verifyIncoming and verifyOutgoing need the option keys')
  return undefined
}

/** Throws INVALID_OPTION for a name that the wire cannot carry. */
export function assertName(name: string): void {
  const bytes = Buffer.byteLength(name)
  if (bytes >= 1 && bytes <= NAME_BYTES_MAX) return
  throw new ShoalError('INVALID_OPTION', `name '${name}' has ${bytes} bytes, it must have 1 to ${NAME_BYTES_MAX}`)
}
