/** Randomness as a value: protocol code takes a `Random` and never touches the global one, so that a seed replays a run. */

/** Uniform in [0, 1), as `Math.random`. */
export type Random = () => number

/** A seeded generator (sfc32): fast, good enough for simulation and peer choice, never for secrets. */
export function seededRandom(seed: number): Random {
  let a = seed | 0
  let b = Math.imul(seed, 0x9e3779b1) | 0
  let c = 0x6d2b79f5 ^ seed
  let counter = 1
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return (t >>> 0) / 0x1_0000_0000
  }
  for (let i = 0; i < 12; i++) next()
  return next
}

/** An integer in [0, bound). */
export function randomInt(random: Random, bound: number): number {
  return Math.floor(random() * bound)
}

/** Fisher-Yates, in place. */
export function shuffle<T>(items: T[], random: Random): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = randomInt(random, i + 1)
    const held = items[i] as T
    items[i] = items[j] as T
    items[j] = held
  }
  return items
}

/** Exponential backoff with full jitter: uniform in [0, min(max, base * 2^attempt)), never below a tenth of that bound. */
export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: Random): number {
  const bound = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30))
  return bound * (0.1 + 0.9 * random())
}
