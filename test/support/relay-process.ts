/**
 * A process between a caller and its callee, by which the callee seems to crash or to hang: killed, stopped and continued
 * by its signals, at any stage of a call. Ends with its standard input.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

/** What it runs: no file of this project, so that it starts in the time that Node needs. */
const PROGRAM = `
const net = require('node:net')
const to = Number(process.argv[1]), backlog = Number(process.argv[2])
const callers = new Set()
const server = net.createServer((inner) => {
  const outer = net.connect(to, '127.0.0.1')
  callers.add(inner)
  inner.pipe(outer).pipe(inner)
  for (const [one, other] of [[inner, outer], [outer, inner]]) {
    one.on('error', () => {})
    one.on('close', () => { callers.delete(one); other.destroy() })
  }
})
server.listen({ port: 0, host: '127.0.0.1', backlog }, () => console.log(server.address().port))
process.stdin.on('data', () => { for (const caller of callers) caller.resetAndDestroy() })
process.stdin.on('end', () => process.exit(0))
`

export class RelayProcess {
  readonly port: number
  readonly #process: ChildProcess
  readonly #fillers: Socket[] = []

  private constructor(process: ChildProcess, port: number) {
    this.#process = process
    this.port = port
  }

  static async start(toPort: number, { backlog = 511 }: { readonly backlog?: number } = {}): Promise<RelayProcess> {
    const args = ['-e', PROGRAM, String(toPort), String(backlog)]
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = createInterface({ input: child.stdout })
    const [port] = (await once(lines, 'line')) as [string]
    lines.close()
    return new RelayProcess(child, Number(port))
  }

  /** Whoever connects from now on gets no answer from the kernel: the process accepts nothing, and its backlog is full. */
  async stopAnswering(): Promise<void> {
    this.stop()
    for (;;) {
      const filler = connect(this.port, '127.0.0.1')
      this.#fillers.push(filler)
      filler.on('error', () => {}) // goes with the process
      const isIn = once(filler, 'connect').then(
        () => true,
        () => false,
      )
      const isOut = new Promise<false>((resolve) => setTimeout(resolve, 150, false))
      if (!(await Promise.race([isIn, isOut]))) return
    }
  }

  stop(): void {
    this.#process.kill('SIGSTOP')
  }

  continue(): void {
    this.#process.kill('SIGCONT')
  }

  /** All callers get a reset. */
  reset(): void {
    this.#process.stdin?.write('reset\n')
  }

  /** SIGKILL; also of a stopped one. */
  async kill(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exited = once(this.#process, 'exit')
      this.#process.kill('SIGKILL')
      await exited
    }
    for (const filler of this.#fillers.splice(0)) filler.destroy()
    this.#process.stdin?.destroy()
    this.#process.stdout?.destroy()
  }
}
