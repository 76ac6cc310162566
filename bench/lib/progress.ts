/** One line that says what runs now: rewritten in place on a terminal, plain lines elsewhere. Goes to stderr. */
import { clearLine, cursorTo } from 'node:readline'

export class Progress {
  readonly #total: number
  readonly #startedAt = performance.now()
  readonly #live: boolean = process.stderr.isTTY === true && process.env['CI'] === undefined
  #done = 0

  /** `total` steps make up the run. */
  constructor(total: number) {
    this.#total = total
  }

  step(what: string): void {
    const seconds = (performance.now() - this.#startedAt) / 1_000
    const left =
      this.#done === 0 ? '' : `, about ${Math.ceil((seconds / this.#done) * (this.#total - this.#done))} s left`
    const line = `[${this.#done}/${this.#total}] ${what} (${seconds.toFixed(0)} s${left})`
    this.#done++
    if (!this.#live) {
      process.stderr.write(`${line}\n`)
      return
    }
    clearLine(process.stderr, 0)
    cursorTo(process.stderr, 0)
    process.stderr.write(line)
  }

  end(): void {
    if (!this.#live) return
    clearLine(process.stderr, 0)
    cursorTo(process.stderr, 0)
  }
}
