/**
 * One member as this node sees it, and what an address or a version may be. States change only in `roster.ts`;
 * what beats what is decided only by `precedence.ts`.
 */
import { formatHostPort, type HostPort, ipFromBytes } from '../address.js'
import { equalBytes } from '../bytes.js'
import { decodeTags } from './tags.js'
import type { Alive } from './wire/messages.js'

export type MemberState = 'alive' | 'suspect' | 'dead' | 'left'

/** What users see of a member: a frozen snapshot. */
export interface Member {
  readonly name: string
  /** `host:port` of its gossip endpoint. */
  readonly address: string
  readonly state: MemberState
  readonly incarnation: number
  readonly meta: Uint8Array
  /** Serf tags in `meta`; names that begin with `_` are shoal's own. */
  readonly tags: Readonly<Record<string, string>>
  /** `host:port` where it takes calls; undefined for a node that is no shoal node. */
  readonly rpcAddress: string | undefined
  /** Smoothed round trip of answered probes in ms; undefined until one was answered directly. */
  readonly rtt: number | undefined
  /** Whether UDP reaches it: false while it answers over TCP only, undefined until either is known. */
  readonly udpReachable: boolean | undefined
  /** Wall clock ms since when it is in this state. */
  readonly since: number
}

export const TAG_BOOT_ID = '_b'
export const TAG_RPC_ADDRESS = '_rpc'

/** What a member says of itself in an `alive`. */
export interface Identity {
  readonly addr: Uint8Array
  readonly port: number
  readonly meta: Uint8Array
  readonly vsn: Uint8Array
}

/** A row of the member table. Mutable, owned by the roster; never handed out. */
export interface MemberEntry extends HostPort {
  readonly name: string
  addr: Uint8Array
  host: string
  port: number
  meta: Uint8Array
  tags: Readonly<Record<string, string>>
  vsn: Uint8Array
  incarnation: number
  state: MemberState
  /** Monotonic ms. */
  stateAt: number
  rtt: number | undefined
  /** It answered us, or spoke to us from its address. Without that it may be nothing but a forged record. */
  verified: boolean
  /** In a flood of forged records a verified member told of it. */
  vouched: boolean
  /** The highest incarnation at which its name was claimed from elsewhere, as far as that was reported. */
  claimedIncarnation: number
  udpReachable: boolean | undefined
  /**
   * Something that only the owner of this address can have seen has come back from there. Until then the record may be
   * forged, and the address that of somebody who wants nothing of us.
   */
  proven: boolean
  /** Bytes of gossip sent there before it was proven. */
  unprovenBytes: number
  snapshot: Member | undefined
}

export function createEntry(name: string, identity: Identity, now: number): MemberEntry {
  const entry: MemberEntry = {
    name,
    addr: identity.addr,
    host: '',
    port: identity.port,
    meta: identity.meta,
    tags: {},
    vsn: identity.vsn,
    incarnation: -1, // below everything that can be heard
    state: 'dead',
    stateAt: now,
    rtt: undefined,
    verified: false,
    vouched: false,
    claimedIncarnation: -1,
    udpReachable: undefined,
    proven: false,
    unprovenBytes: 0,
    snapshot: undefined,
  }
  adoptIdentity(entry, identity)
  return entry
}

/** Takes over address, meta and versions. The address bytes are kept as they came: peers compare them byte by byte. */
export function adoptIdentity(entry: MemberEntry, identity: Identity): void {
  if (entry.port !== identity.port || !equalBytes(entry.addr, identity.addr)) {
    entry.proven = false
    entry.unprovenBytes = 0
    entry.udpReachable = undefined
  }
  entry.addr = identity.addr
  entry.port = identity.port
  entry.host = ipFromBytes(identity.addr) ?? ''
  entry.meta = identity.meta
  entry.tags = decodeTags(identity.meta)
  entry.vsn = identity.vsn
  entry.snapshot = undefined
}

/** What is told of it while it lives. */
export function aliveOf({ name: node, incarnation, addr, port, meta, vsn }: MemberEntry): Alive {
  return { type: 'alive', node, incarnation, addr, port, meta, vsn }
}

/** A shoal node says so by its boot id tag; only such nodes get our user messages and user state. */
export function isShoalNode(entry: MemberEntry): boolean {
  return entry.tags[TAG_BOOT_ID] !== undefined
}

export function isLive(entry: MemberEntry): boolean {
  return entry.state === 'alive' || entry.state === 'suspect'
}

/** memberlist's feature gates ask the peer's highest protocol version. */
export function speaks(entry: MemberEntry, protocol: number): boolean {
  return (entry.vsn[1] ?? 0) >= protocol
}

const RTT_WEIGHT = 0.125 // as TCP smooths its round trip (RFC 6298)

function observeRtt(entry: MemberEntry, ms: number): void {
  entry.rtt = entry.rtt === undefined ? ms : entry.rtt + RTT_WEIGHT * (ms - entry.rtt)
  entry.snapshot = undefined
}

/** A ping that went there directly by UDP was answered after `ms`. */
export function observeAnswer(entry: MemberEntry, ms: number): void {
  entry.udpReachable = true
  observeRtt(entry, ms)
}

export function snapshotOf(entry: MemberEntry, wallOffsetMs: number): Member {
  entry.snapshot ??= Object.freeze({
    name: entry.name,
    address: formatHostPort(entry),
    state: entry.state,
    incarnation: entry.incarnation,
    meta: entry.meta,
    tags: entry.tags,
    rpcAddress: entry.tags[TAG_RPC_ADDRESS],
    rtt: entry.rtt,
    udpReachable: entry.udpReachable,
    since: Math.round(entry.stateAt + wallOffsetMs),
  })
  return entry.snapshot
}
