/** Restarts of all kinds, and how members are forgotten. The real machines on virtual time. */
import { describe, expect, it } from 'vitest'
import { type Life, Lives } from './lives.js'

const SEEDS = [1, 2, 3, 4, 5]
const HOUR_MS = 3_600_000

function agrees(lives: Lives): (observer: Life) => boolean {
  const running = lives.running()
  return ({ node }) => running.every(({ name, node: { boot } }) => node.seesAlive(name, boot))
}

describe.each([0, 0.2])('a node that restarts at its address with %f of the packets lost', (lossRate) => {
  function restarted(
    seed: number,
    downMs: number,
    clockMs: number,
  ): { lives: Lives; again: Life; ms: number | undefined } {
    const lives = new Lives(seed)
    const nodes = lives.form(6)
    lives.network.conditions.lossRate = lossRate
    lives.crash(nodes[2]!, false)
    lives.run(downMs)
    const again = lives.start('n2', { host: 3, seeds: [nodes[0]!], clockMs })
    return { lives, again, ms: lives.runUntil(agrees(lives), 40_000) }
  }

  it.each([
    ['within the same second', 50, 0],
    ['before it was missed', 1_500, 0],
    ['after it was seen dead', 30_000, 0],
    ['before it was missed, with its clock set back an hour', 1_500, -HOUR_MS],
    ['after it was seen dead, with its clock set back an hour', 30_000, -HOUR_MS],
  ])('%s is known in its new boot within seconds and stays alive', (_what, downMs, clockMs) => {
    for (const seed of SEEDS) {
      const { lives, again, ms } = restarted(seed, downMs, clockMs)
      expect(ms, `seed ${seed}`).toBeDefined()
      expect(ms!, `seed ${seed}`).toBeLessThan(lossRate === 0 ? 2_000 : 20_000)
      lives.network.conditions.lossRate = 0
      lives.run(40_000)
      expect(lives.running().every(agrees(lives)), `seed ${seed}`).toBe(true)
      expect(again.ended).toBe(false)
    }
  })
})

it('when all restart within seconds, some after they were seen dead, nobody remains dead in any view', () => {
  for (const seed of SEEDS) {
    const lives = new Lives(seed)
    const nodes = lives.form(20)
    lives.network.conditions.lossRate = 0.2
    for (const life of nodes) {
      lives.clock.after(3_000 * lives.random(), () => lives.crash(life, false))
      const seeds = nodes.slice(0, 4).filter((other) => other !== life)
      lives.clock.after(3_000 + 17_000 * lives.random(), () => {
        lives.start(life.name, { host: life === nodes[0] ? 1 : Number(life.name.slice(1)) + 1, seeds })
      })
    }
    lives.run(20_000)
    expect(lives.running()).toHaveLength(20)
    lives.network.conditions.lossRate = 0
    expect(lives.runUntil(agrees(lives), 60_000, 100), `seed ${seed}`).toBeDefined()
    lives.run(60_000)
    for (const { node } of lives.running()) {
      expect(
        node.members().filter(({ state }) => state !== 'alive'),
        `seed ${seed}`,
      ).toEqual([])
    }
  }
})

it('the dead and the left are forgotten once by everybody and do not come back from others that still hold them', () => {
  const lives = new Lives(3, {
    probeIntervalMs: 20_000,
    probeTimeoutMs: 5_000,
    pushPullIntervalMs: 600_000,
    gossipIntervalMs: 5_000,
    gossipToTheDeadMs: 600_000,
  })
  const nodes = lives.form(5)
  const [first] = nodes as [Life]
  for (const { node } of nodes) node.forgetSeeds() // they only cost time here
  lives.run(300_000)
  const heal = lives.cut(nodes.slice(0, 1)) // so that they notice at different times
  lives.crash(nodes[3]!)
  lives.run(1_000)
  nodes[4]!.node.leave()
  lives.run(HOUR_MS)
  heal()
  lives.run(21 * HOUR_MS)
  const late = lives.start('late', { host: 99, seeds: [first] })
  lives.run(5 * HOUR_MS)
  for (const observer of nodes.slice(0, 3)) {
    const names = observer.node.members().map(({ name }) => name)
    expect(names.sort()).toEqual(['late', 'n0', 'n1', 'n2'])
    expect(lives.events(observer, 'n3').filter((event) => event === 'reap')).toEqual(['reap'])
    for (const gone of ['n3', 'n4']) expect(lives.events(observer, gone).at(-1)).toBe('reap')
    expect(lives.events(observer, 'n4').filter((event) => event === 'reap')).toEqual(['reap'])
  }
  expect([...lives.events(late, 'n3'), ...lives.events(late, 'n4')]).toEqual([])
}, 120_000)
