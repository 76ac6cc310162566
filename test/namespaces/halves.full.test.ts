/** Two halves that bury each other across a cut must find each other again, soon, and with all that they offered. */
import { describe, it } from 'vitest'
import { NetworkedNodes, nameOf, QUICK } from '../support/networked-nodes.js'
import type { View } from '../support/node-protocol.js'
import { networkMissing } from '../support/switched-hosts.js'
import { holdsFor } from '../support/until.js'

const LEFT = [1, 2, 3]
const RIGHT = [4, 5, 6]
const REPEATS = 4
const CUT_LIMIT_MS = 30_000
const HEAL_LIMIT_MS = 10_000
/** Gossip to the dead, for thirty seconds by default, would heal a short cut: here only healing itself is left. */
const FORGETFUL = { ...QUICK, gossipToTheDeadMs: 500 }

describe.skipIf(networkMissing() !== undefined).concurrent('six nodes cut into halves', () => {
  it.each([
    { how: 'with a permanent seed in one of them', permanentSeeds: true, tuning: QUICK },
    { how: 'for longer than the dead are told, without seeds', permanentSeeds: false, tuning: FORGETFUL },
  ])('agree soon after each heal and call each other again, $how', ({ how, permanentSeeds, tuning }) =>
    NetworkedNodes.use({ hosts: 6, permanentSeeds, node: { tuning } }, async (nodes) => {
      const cutMs: number[] = []
      const healMs: number[] = []
      for (let repeat = 0; repeat < REPEATS; repeat++) {
        nodes.network.cut(LEFT, RIGHT)
        const buried = await Promise.all([
          nodes.untilViews('the left buries the right', LEFT, isSplit(LEFT, RIGHT), CUT_LIMIT_MS),
          nodes.untilViews('the right buries the left', RIGHT, isSplit(RIGHT, LEFT), CUT_LIMIT_MS),
        ])
        cutMs.push(Math.max(...buried))
        await holdsFor('the halves are apart', 2 * FORGETFUL.gossipToTheDeadMs, async () => {
          return isSplit(LEFT, RIGHT)(await nodes.at(1).order('view'))
        })
        nodes.network.heal()
        healMs.push(await nodes.untilAgreed('all agree after the heal', nodes.hosts, HEAL_LIMIT_MS))
        await nodes.untilCallable('each can call each after the heal')
      }
      process.stdout.write(`halves ${how}: buried after ${show(cutMs)}; equal after ${show(healMs)}\n`)
    }),
  )
})

/** A half sees itself alive and the other dead, and lists nothing of the dead. */
function isSplit(own: readonly number[], other: readonly number[]): (view: View) => boolean {
  return ({ members, services }) =>
    own.every((host) => members[nameOf(host)] === 'alive') &&
    other.every((host) => members[nameOf(host)] === 'dead') &&
    services['everywhere']?.join() === own.map(nameOf).join()
}

function show(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  return `p50 ${sorted[Math.floor((sorted.length - 1) / 2)]} ms, max ${sorted.at(-1)} ms (${times.join(', ')})`
}
