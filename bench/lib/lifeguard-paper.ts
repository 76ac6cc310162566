/** The Lifeguard paper's figures (arXiv 1707.00788v2): Table IV (interval experiment) and Table V (threshold), alpha 5, beta 6. */

export interface PaperRow {
  /** False positives in 4,320 runs, and of them those raised at healthy nodes. */
  readonly falseDeaths: number
  readonly falseDeathsAtHealthy: number
  /** Seconds: median, 99 % and 99.9 %. */
  readonly first: readonly [number, number, number]
  readonly full: readonly [number, number, number]
}

export const PAPER_RUNS = 4_320

export const PAPER: Readonly<Record<string, PaperRow>> = {
  SWIM: { falseDeaths: 339_002, falseDeathsAtHealthy: 1_326, first: [12.44, 16.96, 19.4], full: [12.9, 16.93, 20.17] },
  'LHA-Probe': {
    falseDeaths: 229_574,
    falseDeathsAtHealthy: 436,
    first: [12.42, 17.75, 20.1],
    full: [12.9, 17.98, 20.56],
  },
  'LHA-Suspicion': {
    falseDeaths: 10_174,
    falseDeathsAtHealthy: 89,
    first: [12.42, 17.47, 25.41],
    full: [12.89, 17.33, 23.8],
  },
  Buddy: { falseDeaths: 318_935, falseDeathsAtHealthy: 591, first: [12.45, 17.12, 19.16], full: [12.92, 17.18, 19.81] },
  Lifeguard: { falseDeaths: 5_193, falseDeathsAtHealthy: 25, first: [12.45, 17.9, 21.2], full: [12.91, 18.05, 21.68] },
}
