/** How names become addresses: an interface, so that a program may bring its own, and the system's way. */
import dns from 'node:dns/promises'

export interface SrvTarget {
  readonly name: string
  readonly port: number
}

/** Both reject when the name does not exist or nobody could be asked. */
export interface Resolver {
  /** IP literals of both families. */
  readonly lookup: (host: string) => Promise<readonly string[]>
  readonly lookupSrv: (name: string) => Promise<readonly SrvTarget[]>
}

/**
 * Hosts as every program of the machine finds them (`/etc/hosts` too), SRV records from the name servers. A program's
 * `dns.setServers` replaces the functions of the module, so they are taken from there at each call.
 */
export const systemResolver: Resolver = {
  lookup: async (host) => (await dns.lookup(host, { all: true })).map(({ address }) => address),
  lookupSrv: (name) => dns.resolveSrv(name),
}
