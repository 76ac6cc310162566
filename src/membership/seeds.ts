/**
 * Keeps this node in touch with its seeds, for ever: they are looked up again at each attempt, tried with backoff and
 * jitter until one answers, and again whenever none of them is in view. The members of a former life are tried beside
 * them until one of those answers. A seed that is this node itself does not count.
 */
import { formatHostPort, type HostPort } from '../address.js'
import type { Clock, Timer } from '../clock.js'
import { backoffMs, type Random, shuffle } from '../random.js'
import type { FormerMembers } from './rejoin.js'
import type { SeedSource } from './seed.js'
import type { FoundSeeds, SeedLookup } from './seed-lookup.js'

export interface JoinResult {
  /** As the user wrote it; `snapshot` for a member of a former life. */
  readonly seed: string
  /** Empty if the seed did not come to any. */
  readonly address: string
  /** Undefined when the exchange succeeded. */
  readonly error: string | undefined
}

export interface SeedParts {
  readonly clock: Clock
  readonly seeds: readonly (string | SeedSource)[]
  readonly former: FormerMembers
  readonly lookup: SeedLookup
  readonly random: Random
  readonly isOwn: (address: HostPort) => boolean
  /** One push/pull; resolves with why it failed, or undefined. Bounded by the stream timeout. */
  readonly join: (to: HostPort) => Promise<string | undefined>
  /** The addresses of all live members other than this node. */
  readonly inView: () => ReadonlySet<string>
  readonly onPass: (results: readonly JoinResult[]) => void
}

/** What a pass is to try. */
interface Wanted {
  readonly found: readonly Promise<FoundSeeds>[]
  readonly isSeedInView: boolean
  readonly former: boolean
}

type Report = (result: JoinResult) => void

const BACKOFF_BASE_MS = 250
const BACKOFF_MAX_MS = 10_000
/** With a seed in view there is nothing to do but to look again. */
const WATCH_INTERVAL_MS = 5_000
/** A seed may answer and never be in view, behind a balancer for one: then it is contacted less and less often. */
const UNSEEN_INTERVAL_MAX_MS = 60_000
/** A name may resolve to thousands of pods; a few of them are enough. */
const ADDRESSES_PER_LOOKUP_MAX = 16
const ADDRESSES_PER_PASS_MAX = 32
const FORMER_AT_ONCE = 4
/** After that no further ones are begun in a pass: the seeds are to be tried again as well. */
const FORMER_MS = 2_000

export class SeedKeeper {
  readonly #parts: SeedParts
  #timer: Timer | undefined
  /** Passes since the last that reached somebody. */
  #failures = 0
  /** Passes in a row that reached a seed which was not in view afterwards. */
  #unseen = 0
  #closed = false

  constructor(parts: SeedParts) {
    this.#parts = parts
  }

  /**
   * One pass over the seeds now, then further ones in the background until `close`. Resolves when the pass is over, or
   * with what is known by then as soon as the first has answered.
   */
  start(until: 'first' | 'all'): Promise<readonly JoinResult[]> {
    return new Promise((resolve) => {
      const results: JoinResult[] = []
      const report = (result: JoinResult): void => {
        results.push(result)
        if (until === 'first' && result.error === undefined) resolve([...results])
      }
      const run = async (): Promise<void> => {
        const { seeds, former } = this.#parts
        await this.#pass({ found: this.#findEach(seeds), isSeedInView: false, former: !former.done }, report)
        resolve(results)
        this.#scheduleNext()
      }
      void run()
    })
  }

  /** One pass over other seeds than the permanent ones. */
  async joinOnce(seeds: readonly (string | SeedSource)[]): Promise<readonly JoinResult[]> {
    const results: JoinResult[] = []
    await this.#trySeeds(this.#findEach(seeds), (result) => results.push(result))
    return results
  }

  /** After `close`, lets `start` go on in the background again. */
  reopen(): void {
    this.#closed = false
    this.#failures = 0
  }

  close(): void {
    this.#closed = true
    this.#parts.clock.clearTimer(this.#timer)
  }

  async #watch(): Promise<void> {
    const { seeds, former, lookup, inView } = this.#parts
    const found = await lookup.find(seeds)
    if (this.#closed) return
    const live = inView()
    const isLive = (address: HostPort): boolean => live.has(formatHostPort(address))
    if (former.addresses.some(isLive)) former.handleAnswer()
    const isSeedInView = found.targets.some(({ address }) => isLive(address))
    if (isSeedInView) this.#unseen = 0
    const wanted = { found: isSeedInView ? [] : [Promise.resolve(found)], isSeedInView, former: !former.done }
    if (!isSeedInView || wanted.former) await this.#pass(wanted, () => {})
    else this.#failures = 0
    this.#scheduleNext()
  }

  async #pass(wanted: Wanted, report: Report): Promise<void> {
    const results: JoinResult[] = []
    const note = (result: JoinResult): void => {
      results.push(result)
      report(result)
    }
    const [seedAnswered, formerAnswered] = await Promise.all([
      this.#trySeeds(wanted.found, note),
      wanted.former && this.#tryFormer(note),
    ])
    const { former, onPass } = this.#parts
    if (formerAnswered) former.handleAnswer()
    if (seedAnswered || wanted.isSeedInView) former.handleSeedAnswer()
    this.#failures = seedAnswered || formerAnswered ? 0 : this.#failures + 1
    this.#unseen = seedAnswered ? this.#unseen + 1 : 0
    if (!this.#closed) onPass(results)
  }

  #scheduleNext(): void {
    const { seeds, former, random } = this.#parts
    this.#parts.clock.clearTimer(this.#timer)
    if (this.#closed || (seeds.length === 0 && former.done)) return
    const watchMs = Math.min(UNSEEN_INTERVAL_MAX_MS, WATCH_INTERVAL_MS * 2 ** Math.max(0, this.#unseen - 1))
    const delay =
      this.#failures === 0
        ? watchMs * (0.75 + 0.5 * random())
        : backoffMs(this.#failures - 1, BACKOFF_BASE_MS, BACKOFF_MAX_MS, random)
    this.#timer = this.#parts.clock.setTimeout(() => void this.#watch(), delay)
  }

  /** True if one answered. Two seeds at one address are one exchange, reported for both. */
  async #trySeeds(found: readonly Promise<FoundSeeds>[], report: Report): Promise<boolean> {
    const exchanges = new Map<string, Promise<string | undefined>>()
    const answers = found.map(async (each) => {
      const { targets, failures } = await each
      for (const { seed, error } of failures) report({ seed, address: '', error })
      const attempts = targets.slice(0, ADDRESSES_PER_LOOKUP_MAX).map(({ seed, address: to }) => {
        const address = formatHostPort(to)
        const exchange = exchanges.get(address) ?? this.#tryAddress(to, exchanges)
        return exchange?.then((error) => reported({ seed, address, error }, report))
      })
      return (await Promise.all(attempts)).includes(true)
    })
    return (await Promise.all(answers)).includes(true)
  }

  /** Each by itself: a name that takes its time must not keep those waiting that are known. */
  #findEach(seeds: readonly (string | SeedSource)[]): readonly Promise<FoundSeeds>[] {
    const { lookup, random } = this.#parts
    return shuffle([...seeds], random).map((seed) => lookup.find([seed]))
  }

  #tryAddress(
    to: HostPort,
    exchanges: Map<string, Promise<string | undefined>>,
  ): Promise<string | undefined> | undefined {
    if (exchanges.size >= ADDRESSES_PER_PASS_MAX) return undefined
    const exchange = this.#parts.join(to)
    exchanges.set(formatHostPort(to), exchange)
    return exchange
  }

  /** A few at a time, each once at most, until one answers. */
  async #tryFormer(report: Report): Promise<boolean> {
    const { former, isOwn, join } = this.#parts
    const endAt = this.#parts.clock.monotonicMs() + FORMER_MS
    for (let left = former.addresses.length; left > 0; left -= FORMER_AT_ONCE) {
      if (this.#closed || this.#parts.clock.monotonicMs() > endAt) return false
      const some = former.take(Math.min(left, FORMER_AT_ONCE)).filter((address) => !isOwn(address))
      const attempts = some.map(async (to) => {
        return reported({ seed: 'snapshot', address: formatHostPort(to), error: await join(to) }, report)
      })
      if ((await Promise.all(attempts)).includes(true)) return true
    }
    return false
  }
}

function reported(result: JoinResult, report: Report): boolean {
  report(result)
  return result.error === undefined
}
