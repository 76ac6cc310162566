/** What the state machine of members needs, and by what its changes leave it. */
import type { HostPort } from '../address.js'
import type { SwimConfig } from './config.js'
import type { MemberEventType, Notice } from './effects.js'
import type { LocalHealth } from './local-health.js'
import type { MemberEntry } from './member.js'
import type { Members } from './members.js'
import type { Self } from './self.js'
import type { Silence } from './silence.js'
import type { Alive, Dead, Suspect } from './wire/messages.js'

export interface RosterOutput {
  /** Spread this; `own` news is sent with priority. */
  readonly rumour: (message: Alive | Suspect | Dead, own: boolean, now: number) => void
  /** Tell the suspect itself: whoever could not be reached when it was accused may be by now, and refute. */
  readonly warn: (entry: MemberEntry, suspect: Suspect) => void
  /** Tell the one node that it concerns, within limits. */
  readonly tell: (to: HostPort, message: Alive | Suspect, now: number) => void
  /** Somebody holds our name for another node, or for an earlier life of ours at another address. */
  readonly rival: (alive: Alive, now: number) => void
  /** Whether the record of another may be applied now. */
  readonly permits: (alive: Alive, known: MemberEntry | undefined, now: number) => boolean
  readonly event: (type: MemberEventType, entry: MemberEntry, now: number) => void
  readonly notice: (notice: Notice) => void
  readonly count: (reason: 'bad-incarnation' | 'members-full' | 'address-conflict') => void
}

export interface RosterParts {
  readonly config: SwimConfig
  readonly members: Members
  readonly self: Self
  readonly health: LocalHealth
  readonly silence: Silence
  /** Suspects are told before their time is over. */
  readonly warnsSuspects: boolean
  readonly output: RosterOutput
}
