/**
 * How a peer's program talks with the bench: one flat JSON object a line, orders on stdin, reports on stdout. The end of
 * stdin ends the program, so that it never outlives the bench. Programs in other languages speak the same.
 *
 * Orders   { do: serve, count } { do: connect, addresses } { do: calls, what, inFlight, ms, warmupMs }
 *          { do: start, name, seeds } { do: leave }
 * Reports  { event: ready, addresses } { event: connected } { event: figures, … } { event: started, address, calledAt }
 *          { event: left, calledAt } { event: saw, what: join | gone, name, at } { event: failed, message }
 *
 * Lists are comma-separated text; instants are ms on the machine's monotonic clock.
 */
import { createInterface } from 'node:readline'

export function tell(report) {
  process.stdout.write(`${JSON.stringify(report)}\n`)
}

export function machineMs() {
  return Number(process.hrtime.bigint()) / 1e6
}

/** `actions` maps the name of an order to what does it and gives its report, or nothing. */
export function obey(actions) {
  const lines = createInterface({ input: process.stdin })
  lines.on('line', async (line) => {
    const order = JSON.parse(line)
    try {
      const report = await actions[order.do](order)
      if (report !== undefined) tell(report)
    } catch (error) {
      tell({ event: 'failed', message: `${order.do}: ${error instanceof Error ? error.stack : String(error)}` })
    }
  })
  lines.on('close', () => process.exit(0))
}
