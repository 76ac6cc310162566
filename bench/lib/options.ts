/** The command line of `npm run bench`: what is asked for, checked before anything is started. */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import type { GridName } from '../suites/lifeguard.js'

export type Profile = 'lan' | 'wan' | 'local'

export interface BenchOptions {
  readonly quick: boolean
  /** Processes of a real cluster. */
  readonly nodes: number
  readonly profile: Profile
  /** Of simulations, and of choices among real processes. */
  readonly seed: number
  /** Repeats of a scenario, if its suite has the time. */
  readonly repeats: number
  /** Microseconds that every handler burns: a slowed build, to see that a comparison notices. */
  readonly handicapUs: number
  /** Nothing is left out for want of time. */
  readonly patient: boolean
  /** Of the Lifeguard experiments. */
  readonly grid: GridName
  readonly jobs: number
}

export type Wish =
  | { readonly do: 'help' }
  | { readonly do: 'run'; readonly suites: readonly string[]; readonly options: BenchOptions; readonly json: boolean }
  | {
      readonly do: 'compare'
      readonly files: readonly [string, string]
      readonly margin: number
      readonly json: boolean
    }
  | {
      readonly do: 'probe'
      readonly seeds: readonly string[]
      readonly cluster: string
      readonly json: boolean
      readonly repeats: number
      readonly profile: Profile
    }

const NODES_MAX = 100

export const OPTIONS_HELP: string = `  --quick            few repeats, small clusters: under 90 s
  --nodes N          processes of a real cluster (default 30, at most ${NODES_MAX})
  --profile P        lan, wan or local (default lan)
  --seed N           of simulations (default 1)
  --repeats N        of each scenario, as long as its suite has the time (default 5; --quick 2)
  --patient          leave nothing out for want of time: all repeats, all simulations
  --json             print the result, or the comparison, as JSON and nothing else
  --handicap-us N    every handler burns N us: a slowed build, to see that --compare notices
  --sub 24|96        lifeguard: how much of the paper's grid (24 when asked for by name, else 6 runs)
  --full             lifeguard: all of it
  --jobs N           processes of simulations (default one for each core)

npm run bench -- --compare a.json b.json [--margin 10]
                     ratio of each figure with an interval, and the regressions; exit code 1 when there are any
npm run bench -- --seeds host:port,... [--cluster NAME] [--repeats N]
                     a running cluster from outside (NAME also from SHOAL_CLUSTER, keys from SHOAL_KEYS)
npm run bench -- peers [options]
                     beside others in one run; 'peers --help' tells its options
`

/** Throws an error with the way out when it cannot be understood. */
export function parseCommandLine(
  args: readonly string[],
  known: readonly string[],
  standard: (quick: boolean) => readonly string[],
): Wish {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      nodes: { type: 'string' },
      profile: { type: 'string' },
      seed: { type: 'string' },
      repeats: { type: 'string' },
      'handicap-us': { type: 'string' },
      sub: { type: 'string' },
      jobs: { type: 'string' },
      margin: { type: 'string' },
      seeds: { type: 'string' },
      cluster: { type: 'string' },
      quick: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      patient: { type: 'boolean', default: false },
      compare: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const { quick, json } = values
  const profile = checkProfile(values.profile ?? 'lan')
  if (values.help) return { do: 'help' }
  if (values.compare) {
    const [before, after, ...more] = positionals
    if (before === undefined || after === undefined || more.length > 0) throw new Error('--compare takes two files')
    return { do: 'compare', files: [before, after], margin: integer('margin', values.margin, 10, 0) / 100, json }
  }
  const repeats = integer('repeats', values.repeats, quick ? 2 : 5)
  if (values.seeds !== undefined) {
    const cluster = values.cluster ?? process.env['SHOAL_CLUSTER'] ?? ''
    return { do: 'probe', seeds: values.seeds.split(',').map((seed) => seed.trim()), cluster, json, repeats, profile }
  }
  const unknown = positionals.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new Error(`unknown suite '${unknown}'; there are ${known.join(', ')}`)
  const nodes = integer('nodes', values.nodes, quick ? 10 : 30)
  if (nodes < 3 || nodes > NODES_MAX) throw new Error(`--nodes ${nodes} must be 3 to ${NODES_MAX}`)
  const options: BenchOptions = {
    quick,
    nodes,
    profile,
    seed: integer('seed', values.seed, 1, 0),
    repeats,
    handicapUs: integer('handicap-us', values['handicap-us'], 0, 0),
    patient: values.patient,
    grid: checkGrid(values.full ? 'full' : values.sub, positionals.includes('lifeguard') ? '24' : 'small'),
    jobs: integer('jobs', values.jobs, availableParallelism()),
  }
  return { do: 'run', suites: positionals.length === 0 ? standard(quick) : [...new Set(positionals)], options, json }
}

function integer(name: string, text: string | undefined, otherwise: number, least = 1): number {
  const value = text === undefined ? otherwise : Number(text)
  if (!Number.isInteger(value) || value < least) throw new Error(`--${name} ${text} must be an integer from ${least}`)
  return value
}

function checkProfile(text: string): Profile {
  if (text === 'lan' || text === 'wan' || text === 'local') return text
  throw new Error(`--profile ${text} is neither lan, wan nor local`)
}

/** Whoever asks for the suite has the time for more than the default run has. */
function checkGrid(text: string | undefined, otherwise: GridName): GridName {
  if (text === undefined) return otherwise
  if (text === '24' || text === '96' || text === 'full') return text
  throw new Error(`--sub ${text} is neither 24 nor 96`)
}
