/** What the figures were measured on, as far as it bears on them. */
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from 'node:child_process'
import { cpus, loadavg, totalmem } from 'node:os'
import { cpuUnitMs } from './clock.js'

export interface Environment {
  readonly at: string
  readonly node: string
  readonly platform: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  /** One minute's load when the run began: above 0 something else was running. */
  readonly loadBefore: number
  /** Processor time of a fixed loop: two runs with other values ran at another speed, whatever the code. */
  readonly unitMs: number
  readonly commit: string
}

export function readEnvironment(): Environment {
  return {
    at: new Date().toISOString(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    unitMs: Math.round(cpuUnitMs()),
    commit: commit(),
  }
}

function commit(): string {
  try {
    const options: ExecFileSyncOptionsWithStringEncoding = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }
    const id = execFileSync('git', ['rev-parse', '--short', 'HEAD'], options).trim()
    const changed = execFileSync('git', ['status', '--porcelain', 'src'], options).trim() !== ''
    return changed ? `${id} with changes` : id
  } catch {
    return 'unknown' // not a checkout
  }
}
