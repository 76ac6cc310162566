/** Forged records poured into a running cluster: it keeps its members, and honest nodes still come and go. */
import { expect, it } from 'vitest'
import { encodeTags } from '../../src/membership/tags.js'
import { encodeCompound } from '../../src/membership/wire/compound.js'
import { encodeMessage } from '../../src/membership/wire/encode.js'
import { type Life, Lives } from './lives.js'

const MEMBER_MAX = 400
const VSN = Uint8Array.of(1, 5, 2, 0, 0, 0)

/** Twenty forged names in a packet every 20 ms, to one member after another. */
function pour(lives: Lives, targets: readonly Life[], durationMs: number): void {
  let next = 0
  for (let ms = 0; ms < durationMs; ms += 20) {
    lives.clock.after(ms, () => {
      const records = Array.from({ length: 20 }, () => {
        const n = next++
        const addr = Uint8Array.of(10, 99, n >> 8, n)
        return encodeMessage({
          type: 'alive',
          node: `phantom-${n}`,
          incarnation: 7,
          addr,
          port: 1,
          meta: VSN,
          vsn: VSN,
        })
      })
      const target = targets[(next / 20) % targets.length] as Life
      lives.network.send({ host: '10.66.6.6', port: 66 }, target.address, encodeCompound(records))
    })
  }
}

it('during and after a flood real members stay, a newcomer joins, a crash is noticed, and the table is bounded', () => {
  for (const seed of [1, 2]) {
    const lives = new Lives(seed, { memberMax: MEMBER_MAX })
    const nodes = lives.form(5)
    lives.run(10_000)
    const before = lives.observations.length
    pour(lives, nodes, 40_000)
    lives.run(5_000)
    expect(nodes[0]!.node.liveCount).toBeGreaterThan(MEMBER_MAX / 4)
    const newcomer = lives.start('new', { host: 50, seeds: [nodes[0]!] })
    const all = ['n0', 'n1', 'n2', 'n3', 'n4', 'new']
    const sees = (names: readonly string[]) => (life: Life) => names.every((name) => life.node.seesAlive(name))
    expect(lives.runUntil(sees(all), 20_000), `seed ${seed}: the newcomer is known`).toBeDefined()
    lives.crash(nodes[4]!)
    lives.run(15_000)
    const noticed = (life: Life): boolean => ['suspect', 'dead'].includes(life.node.stateOf('n4') ?? 'dead')
    expect(lives.running().every(noticed), `seed ${seed}: the crash is noticed`).toBe(true)
    for (const { node } of lives.running()) expect(node.members().length).toBeLessThanOrEqual(MEMBER_MAX)
    lives.run(30_000)
    expect(newcomer.ended).toBe(false)
    expect(lives.running().every(sees(['n0', 'n1', 'n2', 'n3', 'new']))).toBe(true)
    const lost = lives.observations
      .slice(before)
      .filter((one) => one.type === 'member' && /^n[0-3]$/.test(one.member) && ['dead', 'reap'].includes(one.event))
    expect(lost, `seed ${seed}: no real member was given up`).toEqual([])
  }
})

/** So many forged names in every table, each as credible as one of ours. */
function fillTables(lives: Lives, nodes: readonly Life[], count: number): void {
  const meta = encodeTags({ _b: '0'.repeat(20), _rpc: '10.99.0.1:1' })
  for (let first = 0; first < count; first += 12) {
    const names = Array.from({ length: 12 }, (_, i) => first + i)
    const records = names.map((n) => {
      const addr = Uint8Array.of(10, 99, n >> 8, n)
      return encodeMessage({ type: 'alive', node: `phantom-${n}`, incarnation: 7, addr, port: 1, meta, vsn: VSN })
    })
    const packet = encodeCompound(records)
    lives.clock.after(first / 2, () => {
      for (const { address } of nodes) lives.network.send({ host: '10.66.6.6', port: 66 }, address, packet)
    })
  }
  lives.run(count / 2 + 100)
}

it.each([5, 50])(
  'with 4,000 forged names in the tables of %i members all of them hear of a change within 2 s',
  (count) => {
    const lives = new Lives(1)
    const nodes = lives.form(count)
    lives.run(20_000)
    fillTables(lives, nodes, 4_000)
    expect(nodes[0]!.node.liveCount).toBeGreaterThan(4_000)
    const [changed] = nodes as [Life]
    changed.node.provide('news')
    changed.node.setTag('colour', 'red')
    const before = lives.clock.now
    const own = (life: Life): number | undefined =>
      life.node.members().find(({ name }) => name === changed.name)?.incarnation
    const knows = (life: Life): boolean => life.node.lists('news', changed.name) && own(life) === own(changed)
    expect(lives.runUntil(knows, 2_000, 50), `at ${lives.clock.now - before} ms`).toBeDefined()
  },
)

it('with 4,000 forged names in the tables a crash is noticed by all', () => {
  const lives = new Lives(2)
  const nodes = lives.form(10)
  lives.run(20_000)
  fillTables(lives, nodes, 4_000)
  lives.crash(nodes[4]!)
  const isDead = ({ node }: Life): boolean => node.stateOf('n4') === 'dead'
  expect(lives.runUntil(isDead, 60_000, 500)).toBeDefined()
  const names = new Set(nodes.map(({ name }) => name))
  const lost = lives.observations.filter(
    (seen) => seen.type === 'member' && seen.event === 'dead' && names.has(seen.member) && seen.member !== 'n4',
  )
  expect(lost).toEqual([])
})
