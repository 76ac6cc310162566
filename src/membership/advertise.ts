/** Which address other nodes are told: the bound one, or for a wildcard the machine's own on its network. */
import { lookup } from 'node:dns/promises'
import { isIP, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type HostPort, ipToBytes, tryParseHostPort } from '../address.js'
import { ShoalError } from '../errors.js'

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::', ''])

export function isWildcard(host: string): boolean {
  return WILDCARDS.has(host)
}

export function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1'
}

/**
 * The address to advertise for a socket bound to `bound`. `advertise` is `host`, `host:port` or undefined; a host name
 * is resolved once. Rejects with INVALID_OPTION that says what to set.
 */
export async function resolveAdvertise(advertise: string | undefined, bound: HostPort): Promise<HostPort> {
  if (advertise === undefined) return { host: await boundAddress(bound.host), port: bound.port }
  const wanted = tryParseHostPort(advertise, bound.port)
  if (wanted === undefined || wanted.port === 0) {
    throw new ShoalError('INVALID_OPTION', `advertise '${advertise}' is neither host nor host:port`)
  }
  const host = isIP(wanted.host) === 0 ? await resolveName(wanted.host) : wanted.host
  if (isWildcard(host))
    throw new ShoalError('INVALID_OPTION', `advertise '${advertise}' is no address others can reach`)
  return { host, port: wanted.port }
}

async function boundAddress(host: string): Promise<string> {
  if (isWildcard(host)) return ownAddress(host)
  return isIP(host) === 0 ? resolveName(host) : host
}

async function resolveName(name: string): Promise<string> {
  try {
    return (await lookup(name, { family: 4 }).catch(() => lookup(name))).address
  } catch (cause) {
    throw new ShoalError('INVALID_OPTION', `the name '${name}' to bind or advertise does not resolve`, { cause })
  }
}

/** The first private address of an interface, else the first public one. */
function ownAddress(wildcard: string): string {
  const family = isIPv6(wildcard) ? 'IPv6' : 'IPv4'
  const usable: string[] = []
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, internal, family: found } of addresses ?? []) {
      if (!internal && found === family && !address.startsWith('fe80')) usable.push(address)
    }
  }
  const chosen = usable.find(isPrivate) ?? usable[0]
  if (chosen !== undefined) return chosen
  throw new ShoalError(
    'INVALID_OPTION',
    `bound to ${wildcard}, but no interface has an ${family} address to advertise: set 'advertise' to the address others reach`,
  )
}

function isPrivate(host: string): boolean {
  const [a = 0, b = 0] = ipToBytes(host) ?? []
  if (host.includes(':')) return (a & 0xfe) === 0xfc
  return a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168)
}
