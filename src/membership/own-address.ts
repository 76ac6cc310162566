/** Tells whether an address is this node itself, in whatever form a seed names it: a node does not join itself. */
import { networkInterfaces } from 'node:os'
import { canonicalHost, type HostPort } from '../address.js'
import { isLoopback, isWildcard, reaches } from './advertise.js'

export interface OwnEndpoints {
  /** What the sockets are bound to: a literal and the port really taken. */
  readonly bind: HostPort
  readonly advertised: HostPort
}

/** `address.host` is a literal in its one spelling (`canonicalHost`). */
export function isOwnAddress({ bind, advertised }: OwnEndpoints, { host, port }: HostPort): boolean {
  if (host === advertised.host && port === advertised.port) return true
  if (port !== bind.port) return false
  if (host === bind.host || isWildcard(host)) return true
  return isWildcard(bind.host) && reaches(bind.host, host) && isOfThisMachine(host)
}

/** Asked anew each time: interfaces come and go while a node runs. */
function isOfThisMachine(host: string): boolean {
  if (isLoopback(host)) return true
  try {
    return Object.values(networkInterfaces()).some((addresses) =>
      addresses?.some(({ address }) => canonicalHost(address) === host),
    )
  } catch {
    return false // some sandboxes do not tell; at worst the node asks itself
  }
}
