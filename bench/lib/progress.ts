/**
 * What runs now, how much of it is done and how long the rest takes: a bar that is rewritten in place on a terminal, plain
 * lines elsewhere. Goes to stderr, so that stdout is the report alone.
 */
import { clearLine, cursorTo } from 'node:readline'

export interface PlannedSuite {
  readonly name: string
  readonly steps: number
  /** About how long it takes on two idle cores. */
  readonly seconds: number
}

interface Standing {
  /** Suites that are over, and how long they took. */
  readonly over: readonly { readonly planned: number; readonly took: number }[]
  readonly current: PlannedSuite
  readonly done: number
  readonly elapsed: number
  readonly ahead: readonly PlannedSuite[]
}

/** Seconds to come: of the current suite by its own pace, of the others as planned, corrected by how wrong the plan was. */
export function secondsLeft({ over, current, done, elapsed, ahead }: Standing): number {
  const pace = done === 0 ? current.seconds : (elapsed / done) * current.steps
  const rest = Math.max(0, (done === 0 ? current.seconds : pace) - elapsed)
  const planned = over.reduce((sum, one) => sum + one.planned, current.seconds)
  const taken = over.reduce((sum, one) => sum + one.took, Math.max(pace, elapsed))
  return rest + ahead.reduce((sum, one) => sum + one.seconds, 0) * (taken / planned)
}

const BAR_CELLS = 20
/** Of a terminal that does not say. */
const COLUMNS_UNKNOWN = 80

export class Progress {
  readonly #ahead: PlannedSuite[]
  readonly #startedAt = performance.now()
  readonly #live: boolean = process.stderr.isTTY === true && process.env['CI'] === undefined
  readonly #over: { planned: number; took: number }[] = []
  #current: PlannedSuite | undefined
  #begunAt = 0
  #done = 0

  constructor(plan: readonly PlannedSuite[]) {
    this.#ahead = [...plan]
  }

  /** The next suite of the plan begins. */
  begin(): void {
    this.#endSuite()
    this.#current = this.#ahead.shift()
    this.#begunAt = performance.now()
    this.#done = 0
  }

  /** This is what is done now; what was done before is done. */
  step(what: string): void {
    if (this.#current === undefined) return
    const { name, steps } = this.#current
    const elapsed = (performance.now() - this.#begunAt) / 1_000
    const left = secondsLeft({
      over: this.#over,
      current: this.#current,
      done: this.#done,
      elapsed,
      ahead: this.#ahead,
    })
    const total = (performance.now() - this.#startedAt) / 1_000
    this.#show(
      Math.min(1, total / (total + left)),
      `${name} ${Math.min(this.#done + 1, steps)}/${steps}: ${what}`,
      left,
    )
    this.#done++
  }

  end(): void {
    this.#endSuite()
    if (this.#live) this.#clear()
  }

  #endSuite(): void {
    if (this.#current === undefined) return
    this.#over.push({ planned: this.#current.seconds, took: (performance.now() - this.#begunAt) / 1_000 })
    this.#current = undefined
  }

  #show(share: number, what: string, left: number): void {
    const time = `${Math.floor(left / 60)}:${String(Math.floor(left % 60)).padStart(2, '0')} left`
    if (!this.#live) {
      process.stderr.write(`${(share * 100).toFixed(0).padStart(3)} %, ${time}, ${what}\n`)
      return
    }
    const full = Math.round(share * BAR_CELLS)
    this.#clear()
    const line = `${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)} ${time}  ${what}`
    const { columns = 0 } = process.stderr
    process.stderr.write(line.slice(0, (columns > 0 ? columns : COLUMNS_UNKNOWN) - 1))
  }

  #clear(): void {
    clearLine(process.stderr, 0)
    cursorTo(process.stderr, 0)
  }
}
