/**
 * What the list of a push/pull says of each member, as rumours would say it (memberlist mergeState): its dead are only
 * suspected, so that they can refute. What follows from it is judged by the roster.
 */
import { unreachable } from '../errors.js'
import type { Roster } from './roster.js'
import { type PushNodeState, WIRE_STATE } from './wire/messages.js'

/** Takes in a peer's whole list; `self` is whose suspicion it is. */
export function mergeList(nodes: readonly PushNodeState[], roster: Roster, self: string, now: number): void {
  for (const node of nodes) {
    const { name, incarnation, addr, port, meta, vsn } = node
    switch (node.state) {
      case WIRE_STATE.alive:
        roster.handleAlive({ type: 'alive', node: name, incarnation, addr, port, meta, vsn }, now)
        break
      case WIRE_STATE.left:
        roster.handleDead({ type: 'dead', node: name, incarnation, from: name }, now)
        break
      case WIRE_STATE.dead:
        roster.noteEnd(name, incarnation, now)
        roster.handleSuspect({ type: 'suspect', node: name, incarnation, from: self }, now)
        break
      case WIRE_STATE.suspect:
        roster.handleSuspect({ type: 'suspect', node: name, incarnation, from: self }, now)
        break
      default:
        unreachable(node.state)
    }
  }
}
