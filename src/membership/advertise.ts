/**
 * Which address a node binds to and which one it tells the others: the bound one, or for a wildcard the machine's own
 * on its network. Refuses what could never be reached: another family than the socket's, a zone, a wildcard.
 */
import { lookup } from 'node:dns/promises'
import { isIP, isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { canonicalHost, type HostPort, ipToBytes, tryParseHostPort, zoneProblem } from '../address.js'
import { ShoalError } from '../errors.js'

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::', ''])

export function isWildcard(host: string): boolean {
  return WILDCARDS.has(host)
}

export function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1'
}

/** Whether a socket bound to `bound` can send to `host`; both are literals. Bound to `::` it takes both families. */
export function reaches(bound: string, host: string): boolean {
  return bound === '::' || isIPv4(bound) === isIPv4(host)
}

/** The literal to bind to, in its one spelling; a host name is resolved once, to IPv4 if it has any. Rejects with INVALID_OPTION. */
export async function resolveBind({ host, port }: HostPort, option = 'bind'): Promise<HostPort> {
  return { host: isIP(host) === 0 ? await resolveName(option, host, 4) : canonicalHost(host), port }
}

/**
 * The address to advertise for a socket bound to `bound`, an IP literal. `advertise` is `host`, `host:port` or undefined;
 * a host name is resolved once. Rejects with INVALID_OPTION that says what to set.
 */
export async function resolveAdvertise(advertise: string | undefined, bound: HostPort): Promise<HostPort> {
  if (advertise === undefined)
    return { host: isWildcard(bound.host) ? ownAddress(bound.host) : bound.host, port: bound.port }
  const zone = zoneProblem(advertise)
  if (zone !== undefined) throw invalid(`advertise '${advertise}' ${zone}`)
  const wanted = tryParseHostPort(advertise, bound.port)
  if (wanted === undefined || wanted.port === 0) throw invalid(`advertise '${advertise}' is neither host nor host:port`)
  const family = isIPv4(bound.host) ? 4 : 6
  const host =
    isIP(wanted.host) === 0 ? await resolveName('advertise', wanted.host, family) : canonicalHost(wanted.host)
  if (isWildcard(host)) throw invalid(`advertise '${advertise}' is no address others can reach`)
  if (!reaches(bound.host, host)) {
    const [own, other] = family === 4 ? ['IPv4', 'IPv6'] : ['IPv6', 'IPv4']
    throw invalid(
      `advertise '${advertise}' is ${other}, but ${bound.host} is bound, which takes ${own} only: bind to [::]:port for both, or advertise an ${own} address`,
    )
  }
  return { host, port: wanted.port }
}

/** The first address of the wanted family, else the first of the other one. */
async function resolveName(option: string, name: string, family: 4 | 6): Promise<string> {
  try {
    return canonicalHost((await lookup(name, { family }).catch(() => lookup(name))).address)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'no code'
    const message = `${option}: the name '${name}' does not resolve (${code}): check it and the name server, or set an IP address`
    throw new ShoalError('INVALID_OPTION', message, { cause })
  }
}

/**
 * The first private address of an interface, else the first public one. `::` takes both families: IPv6 is preferred, as
 * whoever binds to it asked for IPv6.
 */
function ownAddress(wildcard: string): string {
  const families = wildcard === '::' ? ['IPv6', 'IPv4'] : ['IPv4']
  for (const family of families) {
    const usable = interfaceAddresses(family)
    const chosen = usable.find(isPrivate) ?? usable[0]
    if (chosen !== undefined) return chosen
  }
  throw invalid(
    `bound to ${wildcard}, but no interface has an ${families.join(' or ')} address to advertise: set 'advertise' to the address others reach`,
  )
}

function interfaceAddresses(wanted: string): string[] {
  const usable: string[] = []
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, internal, family } of addresses ?? []) {
      if (!internal && family === wanted && !address.startsWith('fe80')) usable.push(canonicalHost(address))
    }
  }
  return usable
}

function isPrivate(host: string): boolean {
  const [a = 0, b = 0] = ipToBytes(host) ?? []
  if (host.includes(':')) return (a & 0xfe) === 0xfc
  return a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168)
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_OPTION', message)
}
