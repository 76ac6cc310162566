/**
 * Addresses as people write them (`host:port`, `[v6]:port`) and as memberlist carries them (4 or 16 raw bytes).
 * Knows nothing of name resolution: that belongs to the shells.
 */

import { ByteCache } from './byte-cache.js'

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Reads `host:port`, `[v6]:port`, or `host` alone with `defaultPort`; `undefined` when it is none of these. */
export function tryParseHostPort(text: string, defaultPort?: number): HostPort | undefined {
  const bracketed = /^\[([0-9a-fA-F:.]+)\](?::(\d{1,5}))?$/.exec(text)
  const plain = /^([^\s:[\]/]+)(?::(\d{1,5}))?$/.exec(text)
  const bareV6 = text.includes(':') && parseV6(text) !== undefined ? ([text, text, undefined] as const) : null
  const match = bracketed ?? plain ?? bareV6
  if (match === null || match[1] === undefined) return undefined
  if (match === bracketed && parseV6(match[1]) === undefined) return undefined
  const port = match[2] === undefined ? defaultPort : Number(match[2])
  if (port === undefined || port > 65_535) return undefined
  return { host: match[1], port }
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Whether these are one endpoint; both hosts must be spelled as they are everywhere inside. */
export function isSameEndpoint(a: HostPort, b: HostPort): boolean {
  return a.port === b.port && a.host === b.host
}

/** The text of a raw address; a v4-mapped one is shown as the IPv4 it means. `undefined` unless 4 or 16 bytes. */
export function ipFromBytes(bytes: Uint8Array): string | undefined {
  return bytes.length === 4 || bytes.length === 16 ? known.get(bytes) : undefined
}

/** An address is named in every ping. */
const known = new ByteCache(4_096, ipOf)

function ipOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  if (isV4Mapped(bytes)) return bytes.subarray(12).join('.')
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16))
  return compressZeroes(groups)
}

/** One spelling for each IP literal: IPv6 in its short form, a v4-mapped one as the IPv4 it means. Names stay as they are. */
export function canonicalHost(host: string): string {
  const bytes = ipToBytes(host)
  return bytes === undefined ? host : (ipFromBytes(bytes) ?? host)
}

/** Why an address with a zone (`fe80::1%eth0`) is of no use here; `undefined` for one without. */
export function zoneProblem(text: string): string | undefined {
  if (!text.includes('%')) return undefined
  return 'has a zone id, which gossip cannot carry and no other host could use: take a global or unique local (fd00::/8) address'
}

/** Raw bytes of an IP literal: 4 for IPv4, 16 for IPv6; `undefined` for anything else, host names included. */
export function ipToBytes(ip: string): Uint8Array | undefined {
  return ip.includes(':') ? parseV6(ip) : parseV4(ip)
}

function parseV4(ip: string): Uint8Array | undefined {
  const parts = ip.split('.')
  if (parts.length !== 4) return undefined
  const bytes = new Uint8Array(4)
  for (const [i, part] of parts.entries()) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return undefined
    bytes[i] = Number(part)
  }
  return bytes
}

function parseV6(ip: string): Uint8Array | undefined {
  const halves = ip.split('::')
  if (halves.length > 2) return undefined
  const head = groupBytes(halves[0] ?? '')
  const tail = groupBytes(halves[1] ?? '')
  if (head === undefined || tail === undefined) return undefined
  const missing = 16 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail])
}

function groupBytes(half: string): number[] | undefined {
  if (half === '') return []
  const bytes: number[] = []
  const groups = half.split(':')
  for (const [i, group] of groups.entries()) {
    const embedded = i === groups.length - 1 ? parseV4(group) : undefined
    if (embedded !== undefined) bytes.push(...embedded)
    else if (/^[0-9a-fA-F]{1,4}$/.test(group))
      bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255)
    else return undefined
  }
  return bytes
}

function isV4Mapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false
  return bytes[10] === 255 && bytes[11] === 255
}

function compressZeroes(groups: readonly string[]): string {
  const full = groups.join(':')
  const runs = [...full.matchAll(/(?:^|(?<=:))0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length)
  const longest = runs[0]
  if (longest === undefined) return full
  const before = full.slice(0, longest.index).replace(/:$/, '')
  const after = full.slice(longest.index + longest[0].length).replace(/^:/, '')
  return `${before}::${after}`
}
