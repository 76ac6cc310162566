/** Memberships on loopback whose events a test can wait for. Everything started here is closed by `closeAll`. */

import type { MemberEvent, Notice, SwimConfig } from '../../src/membership/index.js'
import { Membership } from '../../src/membership/membership.js'
import type { MembershipOptions } from '../../src/membership/membership-options.js'

/** Ten times faster than a LAN: a crash is known within about two seconds. */
export const FAST: Partial<SwimConfig> = {
  probeIntervalMs: 100,
  probeTimeoutMs: 50,
  suspicionMult: 3,
  gossipIntervalMs: 20,
  pushPullIntervalMs: 1_000,
  streamTimeoutMs: 2_000,
}

export class WatchedMembership {
  readonly events: MemberEvent[] = []
  readonly notices: Notice[] = []
  readonly #changed = new Set<() => void>()
  #membership: Membership | undefined

  static async start(options: Omit<MembershipOptions, 'onEvent' | 'onNotice'>): Promise<WatchedMembership> {
    const watched = new WatchedMembership()
    watched.#membership = await Membership.start({
      ...options,
      onEvent: (event) => {
        watched.events.push(event)
        for (const check of watched.#changed) check()
      },
      onNotice: (notice) => watched.notices.push(notice),
    })
    return watched
  }

  get membership(): Membership {
    if (this.#membership === undefined) throw new Error('not started')
    return this.#membership
  }

  get name(): string {
    return this.membership.name
  }

  /** The states of all members it knows, by name. */
  view(): Record<string, string> {
    const states = this.membership.members().map(({ name, state }) => [name, state] as const)
    return Object.fromEntries(states.sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** Looks again at each event; rejects with the view when it is not so within the limit. */
  until(isSo: (node: WatchedMembership) => boolean, limitMs = 10_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        clearTimeout(timer)
        this.#changed.delete(check)
        settle()
      }
      const check = (): void => {
        if (isSo(this)) finish(resolve)
      }
      const timer = setTimeout(
        () => finish(() => reject(new Error(`${this.name}, after ${limitMs} ms: ${JSON.stringify(this.view())}`))),
        limitMs,
      )
      this.#changed.add(check)
      check()
    })
  }

  untilState(name: string, state: string, limitMs?: number): Promise<void> {
    return this.until((node) => node.view()[name] === state, limitMs)
  }
}

export class MembershipCluster {
  readonly #nodes: WatchedMembership[] = []
  readonly #cluster: string

  constructor(cluster = 'test') {
    this.#cluster = cluster
  }

  async start(name: string, options: Partial<MembershipOptions> = {}): Promise<WatchedMembership> {
    const shared = { cluster: this.#cluster, name, bind: '127.0.0.1:0', tuning: FAST }
    const node = await WatchedMembership.start({ ...shared, ...options })
    this.#nodes.push(node)
    return node
  }

  /** Starts these nodes with the first as the seed of the others, and waits until each sees all alive. */
  async form(...names: readonly string[]): Promise<WatchedMembership[]> {
    const nodes: WatchedMembership[] = []
    for (const name of names) {
      const seed = nodes[0]
      const node = await this.start(name, seed === undefined ? {} : { seeds: [seed.membership.address] })
      await node.membership.joinSeeds()
      nodes.push(node)
    }
    const wanted = JSON.stringify(Object.fromEntries([...names].sort().map((name) => [name, 'alive'])))
    await Promise.all(nodes.map((node) => node.until(() => JSON.stringify(node.view()) === wanted)))
    return nodes
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#nodes.splice(0).map((node) => node.membership.close()))
  }
}
