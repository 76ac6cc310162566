/**
 * Keeps this node in touch with its seeds, for ever: they are resolved again at each attempt, tried with backoff and
 * jitter until one answers, and again whenever none of them is in view. A seed that is this node itself does not count.
 */
import { lookup, resolveSrv } from 'node:dns/promises'
import { isIP } from 'node:net'
import { formatHostPort, type HostPort, tryParseHostPort } from '../address.js'
import { ShoalError } from '../errors.js'
import { backoffMs, type Random, shuffle } from '../random.js'

export interface JoinResult {
  /** As the user wrote it. */
  readonly seed: string
  readonly address: string
  /** Undefined when the exchange succeeded. */
  readonly error: string | undefined
}

export interface SeedParts {
  readonly seeds: readonly string[]
  readonly random: Random
  readonly defaultPort: number
  readonly self: HostPort
  /** One push/pull; resolves with why it failed, or undefined. Bounded by the stream timeout. */
  readonly join: (to: HostPort) => Promise<string | undefined>
  /** True if a live member other than this node has this address. */
  readonly isInView: (address: HostPort) => boolean
  readonly onPass: (results: readonly JoinResult[]) => void
}

const BACKOFF_BASE_MS = 250
const BACKOFF_MAX_MS = 10_000
/** With a seed in view there is nothing to do but to look again. */
const WATCH_INTERVAL_MS = 5_000
/** A name may resolve to thousands of pods; a few of them are enough. */
const ADDRESSES_PER_PASS_MAX = 16

interface Target {
  readonly seed: string
  readonly address: HostPort
}

export class SeedKeeper {
  readonly #parts: SeedParts
  #timer: NodeJS.Timeout | undefined
  #attempt = 0
  #closed = false

  /** Throws INVALID_OPTION for a seed that can never be one. */
  constructor(parts: SeedParts) {
    for (const seed of parts.seeds) assertSeed(seed, parts.defaultPort)
    this.#parts = parts
  }

  /** One pass over the seeds now, then further ones in the background until `close`. */
  async start(): Promise<readonly JoinResult[]> {
    const results = await this.#pass()
    this.#scheduleNext()
    return results
  }

  /** One pass over other seeds than the permanent ones. */
  async joinOnce(seeds: readonly string[]): Promise<readonly JoinResult[]> {
    if (!Array.isArray(seeds)) throw new ShoalError('INVALID_OPTION', 'seeds must be an array of strings')
    for (const seed of seeds) assertSeed(seed, this.#parts.defaultPort)
    return this.#tryAll(await this.#resolveAll(seeds))
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  async #pass(): Promise<readonly JoinResult[]> {
    const results = await this.#tryAll(await this.#resolveAll(this.#parts.seeds))
    const joined = results.some((result) => result.error === undefined)
    this.#attempt = joined ? 0 : this.#attempt + 1
    if (!this.#closed) this.#parts.onPass(results)
    return results
  }

  async #watch(): Promise<void> {
    const { seeds, isInView } = this.#parts
    const targets = await this.#resolveAll(seeds)
    if (targets.some((target) => !('error' in target) && isInView(target.address))) this.#attempt = 0
    else if (!this.#closed) await this.#pass()
    this.#scheduleNext()
  }

  #scheduleNext(): void {
    if (this.#closed || this.#parts.seeds.length === 0) return
    clearTimeout(this.#timer)
    const { random } = this.#parts
    const delay =
      this.#attempt === 0
        ? WATCH_INTERVAL_MS * (0.75 + 0.5 * random())
        : backoffMs(this.#attempt - 1, BACKOFF_BASE_MS, BACKOFF_MAX_MS, random)
    this.#timer = setTimeout(() => void this.#watch(), delay)
  }

  async #tryAll(targets: readonly (Target | JoinResult)[]): Promise<readonly JoinResult[]> {
    const own = formatHostPort(this.#parts.self)
    const attempts = targets.map(async (target): Promise<JoinResult | undefined> => {
      if ('error' in target) return target
      const address = formatHostPort(target.address)
      if (address === own) return undefined
      return { seed: target.seed, address, error: await this.#parts.join(target.address) }
    })
    return (await Promise.all(attempts)).filter((result) => result !== undefined)
  }

  async #resolveAll(seeds: readonly string[]): Promise<readonly (Target | JoinResult)[]> {
    const resolved = await Promise.all(seeds.map((seed) => this.#resolve(seed)))
    const all = shuffle(resolved.flat(), this.#parts.random)
    return all.slice(0, ADDRESSES_PER_PASS_MAX)
  }

  async #resolve(seed: string): Promise<readonly (Target | JoinResult)[]> {
    try {
      const addresses = await resolveSeed(seed, this.#parts.defaultPort)
      return addresses.map((address) => ({ seed, address }))
    } catch (error) {
      return [
        { seed, address: '', error: `does not resolve: ${error instanceof Error ? error.message : String(error)}` },
      ]
    }
  }
}

const DNS = 'dns://'
const SRV = 'srv://'

function assertSeed(seed: string, defaultPort: number): void {
  if (typeof seed !== 'string') throw new ShoalError('INVALID_OPTION', `a seed must be a string, got ${typeof seed}`)
  const text = seed.startsWith(DNS) ? seed.slice(DNS.length) : seed
  if (seed.startsWith(SRV) ? seed.length > SRV.length : (tryParseHostPort(text, defaultPort)?.port ?? 0) > 0) return
  throw new ShoalError(
    'INVALID_OPTION',
    `seed '${seed}' is none of host:port, [v6]:port, dns://name:port, srv://name with a port of 1 to 65535`,
  )
}

/** Every address that a seed means just now. */
async function resolveSeed(seed: string, defaultPort: number): Promise<readonly HostPort[]> {
  if (seed.startsWith(SRV)) {
    const targets = await resolveSrv(seed.slice(SRV.length))
    return (await Promise.all(targets.map(({ name, port }) => addressesOf(name, port)))).flat()
  }
  const parsed = tryParseHostPort(seed.startsWith(DNS) ? seed.slice(DNS.length) : seed, defaultPort)
  return parsed === undefined ? [] : addressesOf(parsed.host, parsed.port)
}

async function addressesOf(host: string, port: number): Promise<readonly HostPort[]> {
  if (isIP(host) !== 0) return [{ host, port }]
  const found = await lookup(host, { all: true })
  return found.map(({ address }) => ({ host: address, port }))
}
