/**
 * From seeds to addresses, as they are just now: functions are asked, names are looked up, and what is this node itself
 * or of a family that its socket cannot reach is left out. Whatever goes wrong is a line in the report of that seed.
 */
import { isIP } from 'node:net'
import { canonicalHost, formatHostPort, type HostPort } from '../address.js'
import { type Clock, systemClock } from '../clock.js'
import { type Random, shuffle } from '../random.js'
import type { Resolver } from './resolver.js'
import { parseSeed, type SeedSource, shown } from './seed.js'

export interface SeedTarget {
  /** As the user wrote it. */
  readonly seed: string
  readonly address: HostPort
}

export interface SeedFailure {
  readonly seed: string
  readonly error: string
}

export interface FoundSeeds {
  /** In random order. */
  readonly targets: readonly SeedTarget[]
  readonly failures: readonly SeedFailure[]
}

export interface SeedLookupParts {
  /** Default the system's. */
  readonly clock?: Clock | undefined
  readonly resolver: Resolver
  readonly random: Random
  readonly defaultPort: number
  readonly isOwn: (address: HostPort) => boolean
  /** Whether our socket can send to this literal. */
  readonly reaches: (host: string) => boolean
  /** A function or a name server that takes longer has failed for this time. Default 5 s. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 5_000
/** Until then an answer that is still out is waited for again rather than asked for once more. */
const ASK_AGAIN_MS = 60_000
/** A list may hold thousands; so many of them, chosen at random each time, are looked at. */
const TEXTS_MAX = 64
const SRV_TARGETS_MAX = 64

interface Asked {
  readonly answer: Promise<unknown>
  readonly at: number
}

export class SeedLookup {
  readonly #parts: SeedLookupParts
  readonly #clock: Clock
  /** Questions without an answer yet, by name or function: a resolver that hangs must not be given ever more of them. */
  readonly #asked = new Map<unknown, Asked>()

  constructor(parts: SeedLookupParts) {
    this.#parts = parts
    this.#clock = parts.clock ?? systemClock
  }

  async find(seeds: readonly (string | SeedSource)[]): Promise<FoundSeeds> {
    const targets: SeedTarget[] = []
    const failures: SeedFailure[] = []
    const texts = (await Promise.all(seeds.map((seed) => this.#textsOf(seed, failures)))).flat()
    const resolve = async (seed: unknown): Promise<void> => {
      try {
        for (const address of await this.#resolve(seed)) targets.push({ seed: shown(seed), address })
      } catch (error) {
        failures.push({ seed: shown(seed), error: reasonOf(error) })
      }
    }
    await Promise.all(this.#some(texts, TEXTS_MAX).map(resolve))
    return { targets: shuffle(targets, this.#parts.random), failures }
  }

  async #textsOf(seed: string | SeedSource, failures: SeedFailure[]): Promise<readonly unknown[]> {
    if (typeof seed === 'string') return [seed]
    try {
      const texts: unknown = await this.#ask(seed, async () => seed())
      if (!Array.isArray(texts))
        throw new Error(`gave ${texts === null ? 'null' : typeof texts}, not an array of strings`)
      return this.#some(texts, TEXTS_MAX)
    } catch (error) {
      failures.push({ seed: shown(seed), error: reasonOf(error) })
      return []
    }
  }

  /** Where the seed is, none if that is only ourselves. Throws with what a report should say. */
  async #resolve(text: unknown): Promise<readonly HostPort[]> {
    if (typeof text !== 'string') throw new Error('is no string')
    const seed = parseSeed(text, this.#parts.defaultPort)
    if (seed.kind === 'none') throw new Error(seed.problem)
    const found = seed.kind === 'srv' ? await this.#addressesOfSrv(seed.name) : await this.#addressesOf(seed.to)
    const others = found.filter((address) => !this.#parts.isOwn(address))
    const reachable = others.filter(({ host }) => this.#parts.reaches(host))
    const [unreachable] = others
    if (reachable.length > 0 || unreachable === undefined || others.length < found.length) return reachable
    throw new Error(
      `is at ${formatHostPort(unreachable)}, of another family than the address bound here: bind to [::]:port for both`,
    )
  }

  async #addressesOfSrv(name: string): Promise<readonly HostPort[]> {
    const records = await this.#ask(`srv ${name}`, () => this.#parts.resolver.lookupSrv(name))
    const usable = this.#some(records, SRV_TARGETS_MAX).filter(({ port }) => port > 0)
    const found = await Promise.allSettled(usable.map(({ name: host, port }) => this.#addressesOf({ host, port })))
    const addresses = found.flatMap((each) => (each.status === 'fulfilled' ? each.value : []))
    const [failed] = found.filter((each) => each.status === 'rejected')
    if (addresses.length === 0 && failed !== undefined) throw failed.reason
    return addresses
  }

  async #addressesOf({ host, port }: HostPort): Promise<readonly HostPort[]> {
    if (isIP(host) !== 0) return [{ host: canonicalHost(host), port }]
    const found = await this.#ask(host, async () => {
      try {
        return await this.#parts.resolver.lookup(host)
      } catch (error) {
        throw new Error(`does not resolve: ${reasonOf(error)}`)
      }
    })
    return found.filter((each) => isIP(each) !== 0).map((each) => ({ host: canonicalHost(each), port }))
  }

  /** The answer, for which at most so long is waited. */
  #ask<T>(key: unknown, question: () => Promise<T>): Promise<T> {
    const now = this.#clock.monotonicMs()
    const former = this.#asked.get(key)
    if (former !== undefined && now - former.at < ASK_AGAIN_MS) return this.#within(former.answer as Promise<T>)
    const asked = { answer: question(), at: now }
    this.#asked.set(key, asked)
    const settled = (): void => {
      if (this.#asked.get(key) === asked) this.#asked.delete(key)
    }
    asked.answer.then(settled, settled)
    return this.#within(asked.answer)
  }

  /** The timer does not hold the process: whoever waits here has sockets open. */
  #within<T>(work: Promise<T>): Promise<T> {
    const ms = this.#parts.timeoutMs ?? TIMEOUT_MS
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
      timer.unref()
      void work.then(resolve, reject).finally(() => this.#clock.clearTimer(timer))
    })
  }

  #some<T>(items: readonly T[], max: number): readonly T[] {
    return items.length <= max ? items : shuffle([...items], this.#parts.random).slice(0, max)
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
