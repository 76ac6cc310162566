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

it('what piled up is read one by one, what comes meanwhile after it, and the rest after the next block; a full buffer loses', () => {
  const { clock, network, heard } = pair()
  const how = { readMs: 4, bufferPackets: 3 }
  const release = network.block('10.0.0.1:7946', how)
  for (const byte of [1, 2, 3, 9]) network.send(b, a, Uint8Array.of(byte))
  clock.runUntil(100)
  release()
  network.send(b, a, Uint8Array.of(4))
  clock.runUntil(105)
  const releaseAgain = network.block('10.0.0.1:7946', how)
  clock.runUntil(200)
  expect(heard).toEqual(['a 1 at 100', 'a 2 at 104'])
  releaseAgain()
  clock.runUntil(300)
  network.send(b, a, Uint8Array.of(5))
  clock.runUntil(400)
  expect(heard.slice(2)).toEqual(['a 3 at 200', 'a 4 at 204', 'a 5 at 301'])
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

it('a blocked node stands still in its first send, while its suspicions run out', () => {
  const cluster = new Cluster({ nodes: 8, seed: 1, tuning: { suspicionMaxTimeoutMult: 1, awarenessMax: 1 } })
  cluster.startAll(500)
  cluster.run(10_000)
  const blocked = cluster.nameOf(3)
  const seenThere: string[] = []
  let buriedBy = 0
  cluster.watch((seen) => {
    if (seen.type !== 'member') return
    if (seen.observer === blocked) seenThere.push(seen.event)
    else if (seen.member === blocked && seen.event === 'dead') buriedBy++
  })
  const release = cluster.node(3).block()
  cluster.run(20_000)
  expect(buriedBy).toBe(7)
  expect(seenThere).toEqual([])
  release()
  expect(seenThere[0]).toBe('suspect') // whom it had pinged, or was about to
  cluster.run(1)
  const suspects = seenThere.filter((event) => event === 'suspect').length
  const releaseAgain = cluster.node(3).block()
  cluster.run(20_000)
  expect(seenThere.filter((event) => event === 'dead')).toHaveLength(suspects)
  releaseAgain()
  const agree = (): boolean => cluster.running().every((index) => cluster.node(index).liveCount === 8)
  expect(cluster.runUntil(agree, 30_000)).toBeDefined()
})
