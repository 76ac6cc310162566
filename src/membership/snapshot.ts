/**
 * What a node writes down of its cluster to find it again without seeds: names and addresses of live members, and the
 * cluster they belong to. Decides what is kept, how it is written and what of a file is believed: addresses to dial,
 * never names to look up, and not more than a bounded number of them. Knows no file.
 */
import { type HostPort, ipToBytes, tryParseHostPort } from '../address.js'
import { utf8Encode } from '../bytes.js'
import type { Member } from './member.js'

export interface SnapshotMember {
  readonly name: string
  /** `host:port`, the host a literal. */
  readonly address: string
}

export type ParsedSnapshot =
  | { readonly ok: true; readonly addresses: readonly HostPort[] }
  | { readonly ok: false; readonly reason: string }

export const SNAPSHOT_MEMBERS_MAX = 1_024
export const SNAPSHOT_BYTES_MAX = 262_144
const VERSION = 1
/** What surrounds the members, less the cluster's name. */
const FRAME_BYTES = 128

/** The live members other than `self`, by name: the same members make the same text. */
export function membersToKeep(members: readonly Member[], self: string): SnapshotMember[] {
  return members
    .filter(({ name, state }) => name !== self && (state === 'alive' || state === 'suspect'))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .slice(0, SNAPSHOT_MEMBERS_MAX)
    .map(({ name, address }) => ({ name, address }))
}

/** JSON, one member a line. Members beyond 256 KiB are left out. */
export function encodeSnapshot(cluster: string, members: readonly SnapshotMember[]): string {
  const quotedCluster = JSON.stringify(cluster)
  let room = SNAPSHOT_BYTES_MAX - FRAME_BYTES - utf8Encode(quotedCluster).length
  const lines: string[] = []
  for (const { name, address } of members.slice(0, SNAPSHOT_MEMBERS_MAX)) {
    const line = `  ${JSON.stringify([name, address])}`
    room -= utf8Encode(line).length + 2 // a comma and a line feed
    if (room < 0) break
    lines.push(line)
  }
  return `{\n"shoalSnapshot": ${VERSION},\n"cluster": ${quotedCluster},\n"members": [\n${lines.join(',\n')}\n]\n}\n`
}

/** What of a file's text can be used for this cluster. Members that make no sense are passed over. */
export function parseSnapshot(text: string, cluster: string): ParsedSnapshot {
  if (text.length > SNAPSHOT_BYTES_MAX) return { ok: false, reason: `it is larger than ${SNAPSHOT_BYTES_MAX} bytes` }
  const root = parseJson(text)
  if (root === undefined || !Array.isArray(root['members']))
    return { ok: false, reason: 'it is no snapshot, or not all of one' }
  if (root['shoalSnapshot'] !== VERSION) return { ok: false, reason: `it is not of version ${VERSION}` }
  if (root['cluster'] !== cluster) {
    return { ok: false, reason: `it is of cluster ${String(JSON.stringify(root['cluster'])).slice(0, 300)}` }
  }
  const addresses = new Map<string, HostPort>()
  for (const member of root['members'].slice(0, SNAPSHOT_MEMBERS_MAX) as readonly unknown[]) {
    const address: unknown = Array.isArray(member) ? member[1] : undefined
    const parsed = typeof address === 'string' ? tryParseHostPort(address) : undefined
    if (parsed !== undefined && parsed.port > 0 && ipToBytes(parsed.host) !== undefined)
      addresses.set(String(address), parsed)
  }
  return { ok: true, addresses: [...addresses.values()] }
}

function parseJson(text: string): Record<string, unknown> | undefined {
  try {
    const root: unknown = JSON.parse(text)
    return typeof root === 'object' && root !== null ? (root as Record<string, unknown>) : undefined
  } catch {
    return undefined // whatever is wrong with it, it is no snapshot
  }
}
