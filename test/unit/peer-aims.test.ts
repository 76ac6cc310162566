/** How the bench judges shoal against its peers: on made-up figures. */
import { describe, expect, it } from 'vitest'
import { AIMS, CallResults } from '../../bench/lib/peer-aims.js'
import type { PeerCallFigures } from '../../bench/scenarios/peer-calls.js'

const PEERS = [
  { name: 'shoal', product: 'shoal' },
  { name: 'raw', product: 'raw' },
  { name: 'Moleculer, JSON', product: 'Moleculer' },
  { name: 'Moleculer, CBOR', product: 'Moleculer' },
]
const LONE = { figure: 'sequential', measure: 'p50' } as const
const RATE = { figure: 'parallel', measure: 'rate' } as const

function lone(round: number, peer: string, p50: number): PeerCallFigures {
  return { round, placement: 'one core', peer, figure: 'sequential', calls: 100, seconds: 1, p50, p99: p50 * 2 }
}

function rate(round: number, peer: string, calls: number): PeerCallFigures {
  return { round, placement: 'one core', peer, figure: 'parallel', calls, seconds: 2 }
}

describe('a comparison with peers', () => {
  it('takes ratios within a round, so that a machine that slows down between rounds changes nothing', () => {
    const slow = 10
    const figures = [lone(0, 'shoal', 22), lone(0, 'raw', 20), lone(1, 'shoal', 22 * slow), lone(1, 'raw', 20 * slow)]
    const ratio = new CallResults(figures, PEERS).ratio('one core', LONE, { ...LONE, product: 'raw' })
    expect(ratio).toMatchObject({ count: 2, min: 1.1, max: 1.1 })
  })

  it('is with the better variant of a product, for latencies the lower and for rates the higher', () => {
    const figures = [
      ...[lone(0, 'shoal', 20), lone(0, 'Moleculer, JSON', 40), lone(0, 'Moleculer, CBOR', 80)],
      ...[rate(0, 'shoal', 800), rate(0, 'Moleculer, JSON', 100), rate(0, 'Moleculer, CBOR', 50)],
    ]
    const results = new CallResults(figures, PEERS)
    expect(results.ratio('one core', LONE, { ...LONE, product: 'Moleculer' })?.median).toBe(0.5)
    expect(results.ratio('one core', RATE, { ...RATE, product: 'Moleculer' })?.median).toBe(8)
  })

  it('leaves an aim unjudged when the peer was not measured, rather than calling it met', () => {
    const results = new CallResults([rate(0, 'shoal', 800)], PEERS)
    const verdicts = AIMS.filter(({ than }) => than?.product === 'erpc').map((aim) => results.judge('one core', aim))
    expect(verdicts.length).toBeGreaterThan(0)
    expect(verdicts.filter(({ holds }) => holds !== undefined)).toEqual([])
  })

  it('says yes at the bound and no beyond it', () => {
    const aim = { title: 'lone', of: LONE, than: { ...LONE, product: 'raw' }, atMost: 1.15 }
    const judge = (p50: number): boolean | undefined =>
      new CallResults([lone(0, 'shoal', p50), lone(0, 'raw', 100)], PEERS).judge('one core', aim).holds
    expect([judge(115), judge(116)]).toEqual([true, false])
  })
})
