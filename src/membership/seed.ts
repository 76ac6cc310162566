/** What a seed may be and how its text is read. Knows nothing of names' addresses: that is looked up elsewhere. */
import { type HostPort, tryParseHostPort, zoneProblem } from '../address.js'
import { ShoalError } from '../errors.js'

/** Asked for seeds at every attempt; it may fail or take its time, which costs that attempt only. */
export type SeedSource = () => readonly string[] | Promise<readonly string[]>

/** `host:port`, `[v6]:port`, `dns://name:port` or `srv://name`, and functions that give such texts. */
export type Seeds = SeedSource | readonly (string | SeedSource)[]

/** The host of an address is a literal or a name. */
export type Seed = { readonly kind: 'address'; readonly to: HostPort } | { readonly kind: 'srv'; readonly name: string }

const DNS = 'dns://'
const SRV = 'srv://'
/** Whole names are at most 253 characters long. */
const TEXT_MAX = 512
const SHOWN_MAX = 128

/** The seed, or what is wrong with it. */
export function parseSeed(
  text: string,
  defaultPort: number,
): Seed | { readonly kind: 'none'; readonly problem: string } {
  const zone = zoneProblem(text)
  if (zone !== undefined) return { kind: 'none', problem: zone }
  if (text.length <= TEXT_MAX) {
    if (text.startsWith(SRV) && /^[^\s:[\]/]+$/.test(text.slice(SRV.length))) {
      return { kind: 'srv', name: text.slice(SRV.length) }
    }
    const to = tryParseHostPort(text.startsWith(DNS) ? text.slice(DNS.length) : text, defaultPort)
    if (to !== undefined && to.port > 0) return { kind: 'address', to }
  }
  return {
    kind: 'none',
    problem: 'is none of host:port, [v6]:port, dns://name:port, srv://name with a port of 1 to 65535',
  }
}

/** The seeds as one list. Throws INVALID_OPTION for what can never be one. */
export function checkSeeds(seeds: Seeds, defaultPort: number): readonly (string | SeedSource)[] {
  const list = typeof seeds === 'function' ? [seeds] : seeds
  if (!Array.isArray(list))
    throw invalid(`seeds must be an array of strings or a function that gives one, got ${typeof seeds}`)
  for (const seed of list as readonly unknown[]) {
    if (typeof seed === 'function') continue
    if (typeof seed !== 'string') throw invalid(`a seed must be a string or a function, got ${typeof seed}`)
    const parsed = parseSeed(seed, defaultPort)
    if (parsed.kind === 'none') throw invalid(`seed '${shown(seed)}' ${parsed.problem}`)
  }
  return list
}

/** As a report names it. */
export function shown(seed: unknown): string {
  if (typeof seed === 'function') return `function ${seed.name === '' ? '(no name)' : seed.name.slice(0, SHOWN_MAX)}`
  if (typeof seed !== 'string') return `(${seed === null ? 'null' : typeof seed})`
  return seed.length > SHOWN_MAX ? `${seed.slice(0, SHOWN_MAX)}…` : seed
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_OPTION', message)
}
