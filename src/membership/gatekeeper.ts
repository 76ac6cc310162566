/**
 * Whether a record of another node may enter the table at all (memberlist's AliveDelegate and CIDRsAllowed): its address
 * must be allowed, and the user's hook, if there is one, must not refuse it. The hook is asked once for each identity -
 * name, address, meta, versions - and the record waits meanwhile; refutations of a known member are never held up.
 */
import { formatHostPort, ipFromBytes } from '../address.js'
import { equalBytes } from '../bytes.js'
import { createEntry, type Identity, isLive, type MemberEntry, snapshotOf } from './member.js'
import type { Outbound } from './outbound.js'
import type { Verdicts } from './verdicts.js'
import type { Alive } from './wire/messages.js'

export interface GatekeeperParts {
  readonly outbound: Outbound
  readonly verdicts: Verdicts
  readonly asksMembers: boolean
  readonly isAllowed: ((host: string) => boolean) | undefined
  readonly wallOffsetMs: number
  /** Takes in a record, which asks `permits` again. */
  readonly retry: (alive: Alive, now: number) => void
  readonly count: (reason: 'not-allowed' | 'refused' | 'verdicts-full') => void
}

interface Held {
  readonly asked: Alive
  /** The latest of the records that came in meanwhile. */
  latest: Alive
}

interface Refused {
  readonly identity: Identity
  readonly until: number
}

/** So long a refused identity is not asked about again. */
const REFUSED_MS = 30_000
/** Refusals remembered; the oldest is forgotten, and asked about again. */
const REFUSED_MAX = 4_096

export class Gatekeeper {
  readonly #parts: GatekeeperParts
  /** Records that wait for their verdict, by name: as many as there are open questions. */
  readonly #held = new Map<string, Held>()
  readonly #refused = new Map<string, Refused>()
  /** The record whose verdict has just come in. */
  #admitted: Alive | undefined

  constructor(parts: GatekeeperParts) {
    this.#parts = parts
  }

  /** False when the record must not be applied now; if it is only held back, `retry` brings it again. */
  permits(alive: Alive, known: MemberEntry | undefined, now: number): boolean {
    const { asksMembers, isAllowed, count } = this.#parts
    if (alive === this.#admitted) return true
    if (isAllowed?.(ipFromBytes(alive.addr) ?? '') === false) {
      count('not-allowed')
      return false
    }
    if (!asksMembers || (known !== undefined && isLive(known) && isSameIdentity(known, alive))) return true
    const refused = this.#refused.get(alive.node)
    if (refused !== undefined && refused.until > now && isSameIdentity(refused.identity, alive)) {
      count('refused')
      return false
    }
    this.#hold(alive, now)
    return false
  }

  #hold(alive: Alive, now: number): void {
    const { verdicts, wallOffsetMs, count } = this.#parts
    const held = this.#held.get(alive.node)
    if (held !== undefined) {
      if (alive.incarnation > held.latest.incarnation) held.latest = alive
      return
    }
    const entry = createEntry(alive.node, alive, now)
    entry.state = 'alive'
    entry.incarnation = alive.incarnation
    const question = { kind: 'member', member: snapshotOf(entry, wallOffsetMs) } as const
    this.#held.set(alive.node, { asked: alive, latest: alive })
    if (verdicts.ask(question, (refusal, at) => this.#settle(alive.node, refusal, at), now)) return
    this.#held.delete(alive.node)
    count('verdicts-full')
  }

  #settle(name: string, refusal: string | undefined, now: number): void {
    const held = this.#held.get(name)
    if (held === undefined) return
    this.#held.delete(name)
    const { asked, latest } = held
    const isSame = isSameIdentity(asked, latest)
    if (refusal !== undefined) this.#refuse(asked, refusal, now)
    else this.#admit(isSame ? latest : asked, now)
    if (!isSame) this.#parts.retry(latest, now)
  }

  #admit(alive: Alive, now: number): void {
    this.#refused.delete(alive.node)
    this.#admitted = alive
    this.#parts.retry(alive, now)
    this.#admitted = undefined
  }

  #refuse(alive: Alive, reason: string, now: number): void {
    const { outbound, count } = this.#parts
    const { node: member, addr, port } = alive
    this.#refused.delete(member)
    const [oldest] = this.#refused.keys()
    if (this.#refused.size >= REFUSED_MAX && oldest !== undefined) this.#refused.delete(oldest)
    this.#refused.set(member, { identity: alive, until: now + REFUSED_MS })
    count('refused')
    const address = formatHostPort({ host: ipFromBytes(addr) ?? '', port })
    outbound.notice({ kind: 'member-refused', member, address, reason })
  }
}

function isSameIdentity(a: Identity, b: Identity): boolean {
  return a.port === b.port && equalBytes(a.addr, b.addr) && equalBytes(a.meta, b.meta) && equalBytes(a.vsn, b.vsn)
}
