/** Names as a test wants them, changed while it runs, and which IPv6 this machine has. */
import { networkInterfaces } from 'node:os'
import { canonicalHost } from '../../src/address.js'
import type { Resolver, SrvTarget } from '../../src/membership/index.js'

export class TestResolver implements Resolver {
  /** Every question, in order. */
  readonly asked: string[] = []
  readonly #hosts = new Map<string, readonly string[]>()
  readonly #records = new Map<string, readonly SrvTarget[]>()
  readonly #hanging = new Set<string>()

  host(name: string, ...addresses: readonly string[]): this {
    this.#hosts.set(name, addresses)
    return this
  }

  srv(name: string, ...records: readonly (readonly [name: string, port: number])[]): this {
    this.#records.set(
      name,
      records.map(([host, port]) => ({ name: host, port })),
    )
    return this
  }

  hang(name: string): this {
    this.#hanging.add(name)
    return this
  }

  readonly lookup = (host: string): Promise<readonly string[]> => this.#answer(host, this.#hosts)

  readonly lookupSrv = (name: string): Promise<readonly SrvTarget[]> => this.#answer(name, this.#records)

  async #answer<T>(name: string, known: ReadonlyMap<string, T>): Promise<T> {
    this.asked.push(name)
    if (this.#hanging.has(name)) return new Promise(() => {})
    const found = known.get(name)
    if (found === undefined) throw new Error(`ENOTFOUND ${name}`)
    return found
  }
}

/** An IPv6 address of an interface other than loopback. */
export function ownV6Address(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const found = all.find(
    ({ address, family, internal }) => family === 'IPv6' && !internal && !address.startsWith('fe80'),
  )
  return found === undefined ? undefined : canonicalHost(found.address)
}

/** Why IPv6 cannot be tried here; undefined when it can. */
export function v6Missing(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  if (all.some(({ address }) => address === '::1')) return undefined
  const reason = 'this machine has no IPv6 loopback'
  process.stderr.write(`\n!!! the tests of IPv6 are skipped: ${reason}\n\n`)
  return reason
}
