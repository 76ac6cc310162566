/**
 * What the project aims at, against the peers of the same run, and whether it holds. A ratio is taken within a round,
 * whose processes ran within seconds of each other, and the median over the rounds decides.
 */
import type { PeerCallFigures, Placement } from '../scenarios/peer-calls.js'
import type { CallFigure, CallPeer } from './call-peers.js'
import { type Summary, summarize } from './statistics.js'

export type Measure = 'p50' | 'p99' | 'rate'

export interface Quantity {
  readonly figure: CallFigure
  readonly measure: Measure
}

export interface Aim {
  readonly title: string
  /** Of shoal; divided by `than`, or taken by itself. */
  readonly of: Quantity
  readonly than?: Quantity & { readonly product: string }
  readonly atMost?: number
  readonly atLeast?: number
}

export interface Verdict {
  readonly aim: Aim
  /** Over the rounds; absent: a peer or a figure is missing. */
  readonly measured?: Summary
  readonly holds?: boolean
}

const SEQUENTIAL_P50 = { figure: 'sequential', measure: 'p50' } as const
const SEQUENTIAL_P99 = { figure: 'sequential', measure: 'p99' } as const
const PARALLEL = { figure: 'parallel', measure: 'rate' } as const
const SIXTEEN = { figure: 'sixteen', measure: 'rate' } as const
const BULK = { figure: 'bulk', measure: 'rate' } as const
const STRING_P50 = { figure: 'string', measure: 'p50' } as const
const STRING_P99 = { figure: 'string', measure: 'p99' } as const
const BINARY = { figure: 'binary', measure: 'p50' } as const

function against(title: string, of: Quantity, product: string, bound: Pick<Aim, 'atMost' | 'atLeast'>): Aim {
  return { title: `${title}, x ${product}`, of, than: { ...of, product }, ...bound }
}

export const AIMS: readonly Aim[] = [
  against('one at a time, p50', SEQUENTIAL_P50, 'raw', { atMost: 1.15 }),
  against('one at a time, p99', SEQUENTIAL_P99, 'raw', { atMost: 1.3 }),
  against('64 in flight, calls/s', PARALLEL, 'raw', { atLeast: 0.35 }),
  against('64 in flight, calls/s', PARALLEL, 'Moleculer', { atLeast: 8 }),
  against('64 in flight, calls/s', PARALLEL, 'erpc', { atLeast: 8 }),
  against('64 in flight, calls/s', PARALLEL, 'grpc-js', { atLeast: 40 }),
  {
    title: '16 peers, calls/s, x raw with one peer',
    of: SIXTEEN,
    than: { ...PARALLEL, product: 'raw' },
    atLeast: 0.1,
  },
  against('16 peers, calls/s', SIXTEEN, 'raw', { atLeast: 0.1 }),
  against('64 KiB string, p50', STRING_P50, 'erpc', { atMost: 1 }),
  against('64 KiB string, p99', STRING_P99, 'erpc', { atMost: 1.25 }),
  against('64 KiB binary, p50', BINARY, 'raw', { atMost: 1.3 }),
  against('16 MiB, bandwidth', BULK, 'raw', { atLeast: 0.5 }),
  { title: 'local call, median, us', of: { figure: 'local', measure: 'p50' }, atMost: 1 },
  { title: 'local calls/s', of: { figure: 'localRate', measure: 'rate' }, atLeast: 1_000_000 },
]

/** The figures of one run, by round, placement and peer. */
export class CallResults {
  readonly #figures: readonly PeerCallFigures[]
  readonly #peers: readonly Pick<CallPeer, 'name' | 'product'>[]

  constructor(figures: readonly PeerCallFigures[], peers: readonly Pick<CallPeer, 'name' | 'product'>[]) {
    this.#figures = figures
    this.#peers = peers
  }

  get rounds(): number[] {
    return [...new Set(this.#figures.map(({ round }) => round))]
  }

  /** Of one peer, over the rounds. */
  summary(placement: Placement, peer: string, quantity: Quantity): Summary | undefined {
    return summaryOf(this.rounds.map((round) => this.#value({ placement, round }, peer, quantity)))
  }

  /** Of shoal to the best variant of a product, or of shoal alone, over the rounds that have both. */
  ratio(placement: Placement, of: Quantity, than?: Aim['than']): Summary | undefined {
    const ratios = this.rounds.map((round) => {
      const own = this.#value({ placement, round }, 'shoal', of)
      if (than === undefined) return own
      const other = this.#best({ placement, round }, than)
      return own === undefined || other === undefined ? undefined : own / other
    })
    return summaryOf(ratios)
  }

  judge(placement: Placement, aim: Aim): Verdict {
    const measured = this.ratio(placement, aim.of, aim.than)
    if (measured === undefined) return { aim }
    const { atMost = Number.POSITIVE_INFINITY, atLeast = 0 } = aim
    return { aim, measured, holds: measured.median <= atMost && measured.median >= atLeast }
  }

  #best(at: At, { product, ...quantity }: NonNullable<Aim['than']>): number | undefined {
    const names = this.#peers.filter((peer) => peer.product === product).map(({ name }) => name)
    const values = names.map((name) => this.#value(at, name, quantity)).filter((value) => value !== undefined)
    if (values.length === 0) return undefined
    return quantity.measure === 'rate' ? Math.max(...values) : Math.min(...values)
  }

  #value({ placement, round }: At, peer: string, { figure, measure }: Quantity): number | undefined {
    const found = this.#figures.find(
      (f) => f.round === round && f.placement === placement && f.peer === peer && f.figure === figure,
    )
    if (found === undefined) return undefined
    return measure === 'rate' ? found.calls / found.seconds : found[measure]
  }
}

interface At {
  readonly placement: Placement
  readonly round: number
}

function summaryOf(values: readonly (number | undefined)[]): Summary | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : summarize(known)
}
