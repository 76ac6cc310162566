/** Two halves that bury each other across a cut must find each other again, soon, and with all that they offered. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NetworkedNodes, nameOf } from '../support/networked-nodes.js'
import type { View } from '../support/node-protocol.js'
import { networkMissing } from '../support/switched-hosts.js'

const LEFT = [1, 2, 3]
const RIGHT = [4, 5, 6]
const REPEATS = 4
const HEAL_LIMIT_MS = 10_000

let nodes: NetworkedNodes

describe.skipIf(networkMissing() !== undefined).each([
  { seeding: 'with a permanent seed in one of the halves', permanentSeeds: true },
  { seeding: 'without permanent seeds', permanentSeeds: false },
])('six nodes cut into halves, $seeding', ({ seeding, permanentSeeds }) => {
  beforeAll(async () => {
    nodes = await NetworkedNodes.make({ hosts: 6, permanentSeeds })
  })
  afterAll(() => nodes?.remove())

  it(`agree within ${HEAL_LIMIT_MS} ms after each heal, and call each other's services`, async () => {
    const cutMs: number[] = []
    const healMs: number[] = []
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      nodes.network.cut(LEFT, RIGHT)
      const buried = await Promise.all([
        nodes.untilViews('the left buries the right', LEFT, isSplit(LEFT, RIGHT), 30_000),
        nodes.untilViews('the right buries the left', RIGHT, isSplit(RIGHT, LEFT), 30_000),
      ])
      cutMs.push(Math.max(...buried))
      nodes.network.heal()
      healMs.push(await nodes.untilAgreed('all agree after the heal', nodes.hosts, HEAL_LIMIT_MS))
      await nodes.untilCallable('each can call each after the heal')
    }
    process.stdout.write(`${seeding}: buried after ${show(cutMs)}; equal after ${show(healMs)}\n`)
    expect(nodes.ended()).toEqual([])
  })
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
