import { expect, it } from 'vitest'
import { seededRandom } from '../../src/random.js'
import { EventQueue } from '../../src/testing/event-queue.js'
import { Cluster } from './cluster.js'
import { VirtualNetwork } from './virtual-network.js'

const [a, b] = ['10.0.0.1', '10.0.0.2'].map((host) => ({ host, port: 7_946 })) as [
  { host: string; port: number },
  { host: string; port: number },
]

function pair(): { clock: EventQueue; network: VirtualNetwork; heard: string[] } {
  const clock = new EventQueue()
  const conditions = { lossRate: 0, latencyMs: 1, jitterMs: 0, duplicateRate: 0 }
  const network = new VirtualNetwork({ clock, random: seededRandom(1), conditions, onPacket: () => {} })
  const heard: string[] = []
  for (const [name, { host, port }] of [
    ['a', a],
    ['b', b],
  ] as const)
    network.attach(`${host}:${port}`, {
      receive: (bytes) => heard.push(`${name} ${bytes[0]} at ${clock.now}`),
      accept: (_bytes, _from, reply) => reply(Uint8Array.of(9)),
    })
  return { clock, network, heard }
}

it('what a blocked address sends and what arrives there waits for the end of the block, in order', () => {
  const { clock, network, heard } = pair()
  const release = network.block('10.0.0.1:7946')
  network.send(a, b, Uint8Array.of(1))
  network.send(b, a, Uint8Array.of(2))
  network.send(b, a, Uint8Array.of(3))
  clock.runUntil(100)
  expect(heard).toEqual([])
  release()
  clock.runUntil(200)
  expect(heard).toEqual(['a 2 at 100', 'a 3 at 100', 'b 1 at 101'])
})

it('a stream to a blocked address is accepted by its system and answered only after the block', () => {
  const { clock, network } = pair()
  const ended: string[] = []
  const release = network.block('10.0.0.2:7946')
  const request = { from: a, to: b, bytes: Uint8Array.of(1), expectReply: true, timeoutMs: 1_000 }
  const ping = (): void =>
    network.exchange({
      ...request,
      decode: () => ({ ok: true, message: undefined }),
      done: (result) => ended.push(`${result.ok ? 'ok' : result.error} at ${Math.round(clock.now)}`),
    })
  ping()
  clock.runUntil(2_000)
  ping()
  clock.runUntil(2_500)
  release()
  clock.runUntil(4_000)
  expect(ended).toEqual(['no reply within 1000 ms at 1002', 'ok at 2501'])
})

it('the timers of a blocked node run on: it suspects those whom it cannot hear, and is dead for the others', () => {
  const cluster = new Cluster({ nodes: 8, seed: 1, tuning: { suspicionMaxTimeoutMult: 1, awarenessMax: 1 } })
  cluster.startAll(500)
  cluster.run(10_000)
  const deaths: string[] = []
  cluster.watch((seen) => {
    if (seen.type === 'member' && seen.event === 'dead') deaths.push(`${seen.observer} of ${seen.member}`)
  })
  const release = cluster.network.block(cluster.addressOf(3))
  cluster.run(20_000)
  expect(deaths.filter((death) => death.endsWith(`of ${cluster.nameOf(3)}`))).toHaveLength(7)
  expect(deaths.filter((death) => death.startsWith(cluster.nameOf(3))).length).toBeGreaterThan(0)
  release()
  const agree = (): boolean => cluster.running().every((index) => cluster.node(index).liveCount === 8)
  expect(cluster.runUntil(agree, 30_000)).toBeDefined()
})
