/**
 * Clusters of real processes, one system after the other in each round: how long until all of the others know of a join,
 * a leave and a kill, and who was called dead and was not.
 */
import { machineMs } from '../lib/clock.js'
import type { LineProcess, ProcessOwner } from '../lib/line-process.js'
import type { MemberPeer } from '../lib/member-peers.js'

export type MembershipFigure = 'boot' | 'join' | 'leave' | 'kill'

export interface MembershipSink {
  readonly step: (what: string) => void
  /** From the act to the last of the others, in ms. */
  readonly record: (peer: string, figure: MembershipFigure, ms: number) => void
  readonly miss: (what: string) => void
  /** Sightings of the end of a node that had not ended. */
  readonly falseDeaths: (peer: string, count: number) => void
}

export interface PeerMembershipOptions {
  readonly nodes: number
  readonly rounds: number
  /** Joins and leaves in a round. */
  readonly repeats: number
  readonly kills: number
}

const LIMIT_MS = 60_000
const START_AT_ONCE = 4

export async function runPeerMembership(
  peers: readonly MemberPeer[],
  owner: ProcessOwner,
  options: PeerMembershipOptions,
  sink: MembershipSink,
): Promise<void> {
  for (let round = 0; round < options.rounds; round++) {
    for (let i = 0; i < peers.length; i++) {
      const peer = peers[(i + round) % peers.length] as MemberPeer
      sink.step(`round ${round + 1}: ${options.nodes} nodes of ${peer.name}`)
      const cluster = new PeerCluster(peer, owner, sink)
      try {
        await cluster.boot(options.nodes)
        for (let n = 0; n < options.repeats; n++) await cluster.leaveOne(await cluster.joinOne())
        for (let n = 0; n < options.kills; n++) await cluster.killOne()
        sink.falseDeaths(peer.name, cluster.falseDeaths())
      } catch (error) {
        sink.miss(`${peer.name}: ${error}`)
      } finally {
        await owner.endAll(false)
      }
    }
  }
}

interface Member {
  readonly name: string
  readonly process: LineProcess
  readonly startedAt: number
}

class PeerCluster {
  static #count = 0
  readonly #peer: MemberPeer
  readonly #owner: ProcessOwner
  readonly #sink: MembershipSink
  readonly #members: Member[] = []
  readonly #ended = new Set<string>()
  #seeds = ''

  constructor(peer: MemberPeer, owner: ProcessOwner, sink: MembershipSink) {
    this.#peer = peer
    this.#owner = owner
    this.#sink = sink
  }

  /** The first alone, the others a few at a time: a machine of few cores would else measure the start of processes. */
  async boot(nodes: number): Promise<void> {
    await this.#add()
    let left = nodes - 1
    const starters = Array.from({ length: START_AT_ONCE }, async () => {
      while (left-- > 0) await this.#add()
    })
    await Promise.all(starters)
    const lastAt = Math.max(...this.#members.map(({ startedAt }) => startedAt))
    const spreads = this.#members.map(({ name }) => this.#spread('boot', 'join', { name, from: 0 }))
    const times = await Promise.all(spreads)
    if (!times.includes(undefined))
      this.#sink.record(this.#peer.name, 'boot', Math.max(...(times as number[])) - lastAt)
  }

  async joinOne(): Promise<Member> {
    const member = await this.#add()
    await this.#measure('join', 'join', { name: member.name, from: member.startedAt })
    return member
  }

  async leaveOne(member: Member): Promise<void> {
    this.#end(member)
    const from = await this.#peer.leave(member.process)
    await this.#measure('leave', 'gone', { name: member.name, from })
    await member.process.end()
  }

  async killOne(): Promise<void> {
    const victim = this.#members.at(-1)
    if (victim === undefined || this.#members.length < 2) return
    this.#end(victim)
    const from = victim.process.signal('SIGKILL')
    await this.#measure('kill', 'gone', { name: victim.name, from })
  }

  falseDeaths(): number {
    const seen = this.#members.flatMap(({ process }) => process.seen)
    return seen.filter(({ what, name }) => what === 'gone' && !this.#ended.has(name)).length
  }

  async #add(): Promise<Member> {
    const number = PeerCluster.#count++
    const spec = { name: `n${number}`, number, seeds: this.#seeds }
    const process = this.#owner.start(this.#peer.launch(spec))
    const { address, at } = await this.#peer.start(process, spec)
    if (this.#seeds === '') this.#seeds = address
    const member = { name: spec.name, process, startedAt: at }
    this.#members.push(member)
    return member
  }

  #end(member: Member): void {
    this.#members.splice(this.#members.indexOf(member), 1)
    this.#ended.add(member.name)
  }

  async #measure(figure: MembershipFigure, what: string, of: { name: string; from: number }): Promise<void> {
    const lastAt = await this.#spread(figure, what, of)
    if (lastAt !== undefined) this.#sink.record(this.#peer.name, figure, lastAt - of.from)
  }

  /** When the last of the others had seen it. */
  async #spread(
    figure: MembershipFigure,
    what: string,
    { name, from }: { name: string; from: number },
  ): Promise<number | undefined> {
    const untilMs = machineMs() + LIMIT_MS
    const others = this.#members.filter((member) => member.name !== name)
    const seen = await Promise.all(others.map(({ process }) => process.sawAt({ what, name, at: from }, untilMs)))
    const times = seen.filter((at) => at !== undefined)
    if (times.length === others.length) return Math.max(...times)
    const missing = others.length - times.length
    this.#sink.miss(`${this.#peer.name}, ${figure}: ${missing} of ${others.length} did not see it in ${LIMIT_MS} ms`)
    return undefined
  }
}
