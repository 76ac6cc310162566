/**
 * Watches one node's member table from outside: tells the observer each event as the machine gave it, its own record
 * whenever that changed, and - where every change counts - those that no event tells of.
 */
import type { MemberEvent } from '../../src/membership/effects.js'
import { type Member, TAG_BOOT_ID } from '../../src/membership/member.js'
import type { Swim } from '../../src/membership/swim.js'
import type { MemberObservation, Observer } from './observation.js'

export interface ViewWatchParts {
  readonly name: string
  readonly life: number
  readonly boot: () => string
  readonly now: () => number
  readonly observe: Observer
  /** Compare the whole table after each input: for small clusters. */
  readonly everyChange: boolean
}

export class ViewWatch {
  readonly #parts: ViewWatchParts
  /** As last told. */
  readonly #told = new Map<string, Member>()
  #own: Member | undefined

  constructor(parts: ViewWatchParts) {
    this.#parts = parts
  }

  handleEvent({ type, member }: MemberEvent): void {
    if (type === 'reap') this.#told.delete(member.name)
    else if (this.#parts.everyChange && type !== 'conflict') this.#told.set(member.name, member)
    this.#tell(type, member)
  }

  /** To be called after each input, when its events were handled. */
  lookAt(swim: Swim): void {
    if (!this.#parts.everyChange) return
    for (const member of swim.members()) {
      const told = this.#told.get(member.name)
      if (told === member) continue
      this.#told.set(member.name, member)
      if (told === undefined || !isSame(told, member)) this.#tell('raise', member)
    }
  }

  /** To be called before an input's effects are carried out: a record is issued before it is sent. */
  lookAtOwn(swim: Swim): void {
    const { name, life, boot, now, observe } = this.#parts
    const own = swim.member(name)
    if (own === undefined || own === this.#own) return
    const changed = this.#own === undefined || !isSame(this.#own, own)
    this.#own = own
    const { incarnation, state } = own
    if (changed)
      observe({ type: 'own', at: now(), node: name, boot: boot(), life, incarnation, state, identity: identityOf(own) })
  }

  #tell(event: MemberObservation['event'], member: Member): void {
    const { name, life, boot, now, observe } = this.#parts
    observe({
      type: 'member',
      at: now(),
      observer: name,
      observerLife: life,
      observerBoot: boot(),
      event,
      member: member.name,
      boot: member.tags[TAG_BOOT_ID] ?? '',
      state: member.state,
      incarnation: member.incarnation,
      identity: identityOf(member),
    })
  }
}

function isSame(a: Member, b: Member): boolean {
  return a.state === b.state && a.incarnation === b.incarnation && a.meta === b.meta && a.address === b.address
}

function identityOf({ address, meta }: Member): string {
  return `${address} ${Buffer.from(meta.buffer, meta.byteOffset, meta.byteLength).toString('latin1')}`
}
