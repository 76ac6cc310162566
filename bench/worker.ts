/** One node in a process of its own. Does what the bench says and reports what it sees, with the time it saw it. */
import { createHistogram } from 'node:perf_hooks'
import { createNode, type ShoalNode } from '../src/index.js'
import { machineMs } from './lib/clock.js'
import type { CallFigures, CallRun, Command, Report, Sighting, WorkerOptions } from './lib/protocol.js'

/** With its envelope within the limit. */
const VALUE_BYTES = 16 * 1_048_576

let node: ShoalNode | undefined

function tell(report: Report): void {
  process.send?.(report)
}

function saw(what: Sighting['what'], detail: string): void {
  tell({ kind: 'saw', sighting: { what, detail, at: machineMs() } })
}

function started(): ShoalNode {
  if (node === undefined) throw new Error('not started')
  return node
}

async function start({ name, cluster, seeds, profile, services }: WorkerOptions): Promise<void> {
  const calledAt = machineMs()
  node = await createNode({ name, cluster, seeds, profile, bind: '127.0.0.1:0' })
  const { running } = node.getServices()
  const readyAt = machineMs()
  for (const member of node.members()) if (member.state === 'alive') saw('member', `join ${member.name}`)
  node.on('member', ({ type, member }) => saw('member', `${type} ${member.name}`))
  node.on('service', ({ type, instance }) => {
    saw('service', `${type} ${instance.service}`)
    if (type === 'up' && instance.service.startsWith('probe-')) void callNow(instance.service)
  })
  for (const service of services) await provide(service)
  tell({ kind: 'started', calledAt, readyAt, address: node.address, servicesSeen: running.size })
}

/** A new service counts as arrived when a call to it was answered. */
async function callNow(service: string): Promise<void> {
  try {
    await started().callCb(service, 'echo', [service], { timeout: 5_000 })
    saw('called', service)
  } catch (error) {
    tell({ kind: 'failed', message: `call of new ${service}: ${String(error)}` })
  }
}

async function provide(service: string): Promise<number> {
  const calledAt = machineMs()
  await started().provide(service, {
    echo: (value: unknown) => value,
    size: (value: Uint8Array) => value.length,
    async *items(count: number, bytes: number) {
      const item = new Uint8Array(bytes)
      for (let i = 0; i < count; i++) yield item
    },
  })
  return calledAt
}

/** Moves bytes until it is stopped; gives MiB per second. */
function startBeside(
  kind: NonNullable<CallRun['beside']>,
  service: string,
  options: { readonly nodes?: readonly string[] },
): () => Promise<number> {
  const value = new Uint8Array(VALUE_BYTES)
  const startedAt = performance.now()
  let bytes = 0
  let stopped = false
  const stream = async (): Promise<void> => {
    const items = started().streamCb<Uint8Array>(service, 'items', [1_024, 65_536], options)
    for await (const item of items) {
      bytes += item.length
      if (stopped) break
    }
  }
  const call = async (): Promise<void> => {
    bytes += await started().callCb<number>(service, 'size', [value], options)
  }
  const loop = async (): Promise<void> => {
    while (!stopped) await (kind === 'stream' ? stream() : call())
  }
  const running = loop()
  return async () => {
    stopped = true
    await running
    return bytes / 1_048_576 / ((performance.now() - startedAt) / 1e3)
  }
}

async function runCalls({
  service,
  node: target,
  inFlight,
  durationMs,
  warmupMs,
  payload,
  beside,
}: CallRun): Promise<CallFigures> {
  const caller = started()
  const options = target === undefined ? {} : { nodes: [target] }
  const histogram = createHistogram({ lowest: 1, highest: 60_000_000_000, figures: 3 })
  let calls = 0
  let errors = 0
  const measureAt = performance.now() + warmupMs
  const endAt = measureAt + durationMs
  const loop = async (): Promise<void> => {
    for (;;) {
      const startedAt = performance.now()
      if (startedAt >= endAt) return
      try {
        await caller.callCb(service, 'echo', [payload], options)
      } catch {
        errors++
        continue
      }
      const endedAt = performance.now()
      if (startedAt < measureAt || endedAt > endAt) continue
      calls++
      histogram.record(Math.max(1, Math.round((endedAt - startedAt) * 1e6)))
    }
  }
  const stop = beside === undefined ? undefined : startBeside(beside, service, options)
  await Promise.all(Array.from({ length: inFlight }, loop))
  const moved = stop === undefined ? {} : { mibPerSecond: await stop() }
  const micros = (p: number): number => histogram.percentile(p) / 1e3
  const max = histogram.max / 1e3
  return {
    calls,
    errors,
    seconds: durationMs / 1e3,
    p50: micros(50),
    p99: micros(99),
    p999: micros(99.9),
    max,
    ...moved,
  }
}

async function obey(command: Command): Promise<void> {
  switch (command.kind) {
    case 'start':
      return start(command.options)
    case 'provide':
      return tell({ kind: 'provided', calledAt: await provide(command.service) })
    case 'leave': {
      const calledAt = machineMs()
      await started().leave()
      return tell({ kind: 'left', calledAt })
    }
    case 'calls':
      return tell({ kind: 'calls', figures: await runCalls(command.run) })
    case 'usage': {
      const { user, system } = process.cpuUsage()
      const packetsReceived = started().inspect().membership.packetsReceived
      const usage = { cpuMs: (user + system) / 1e3, rssBytes: process.memoryUsage.rss(), packetsReceived }
      return tell({ kind: 'usage', usage })
    }
    case 'stop':
      await node?.close()
      process.disconnect?.()
  }
}

process.on('message', (command: Command) => {
  obey(command).catch((error: unknown) => tell({ kind: 'failed', message: String(error) }))
})
// The bench is gone: nobody is left to measure for.
process.on('disconnect', () => process.exit(0))
