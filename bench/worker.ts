/** One node in a process of its own. Does what the bench says and reports what it sees, with the time it saw it. */
import { createNode, type Middleware, type Registration, type ShoalNode } from '../src/index.js'
import { machineMs } from './lib/clock.js'
import { runClosed, runOpen } from './lib/load.js'
import type { Message, Order, OrderName, Orders, Started, WorkerOptions } from './lib/protocol.js'

let node: ShoalNode | undefined
let blocking: NodeJS.Timeout | undefined
const registrations = new Map<string, Registration>()
let metaVersion = 0

type Obey = { [Name in OrderName]: (...args: Orders[Name]['args']) => Promise<Orders[Name]['result']> }

const obey: Obey = {
  start,
  async service(change, service) {
    const calledAt = machineMs()
    const registration = registrations.get(service)
    if (change === 'provide') await provide(service)
    else if (registration === undefined) throw new Error(`${service} is not provided here`)
    else if (change === 'pause') await registration.pause()
    else if (change === 'meta') registration.setMeta({ version: ++metaVersion })
    else await registration.stop()
    return calledAt
  },
  async leave() {
    const calledAt = machineMs()
    await started().leave()
    return calledAt
  },
  quiet,
  async usage() {
    const { userCPUTime, systemCPUTime } = process.resourceUsage()
    const { packetsSent, packetsReceived, packetBytesSent, packetBytesReceived } = started().inspect().membership
    return {
      at: machineMs(),
      cpuMs: (userCPUTime + systemCPUTime) / 1e3,
      rssBytes: process.memoryUsage.rss(),
      packetsSent,
      packetsReceived,
      bytesSent: packetBytesSent,
      bytesReceived: packetBytesReceived,
    }
  },
  closedLoad: (load) => runClosed(started(), load),
  openLoad: (load) => runOpen(started(), load),
  async callOnce(service, nodes) {
    const at = performance.now()
    try {
      await started().callCb(service, 'echo', [0], { nodes, idempotent: true, timeout: 20_000 })
      return { ms: performance.now() - at, error: undefined }
    } catch (error) {
      return { ms: performance.now() - at, error: String(error) }
    }
  },
  async sees(service, count) {
    const limitAt = machineMs() + 10_000
    while (started().getNodes(service).length !== count) {
      if (machineMs() > limitAt) return false
      await pause(5)
    }
    return true
  },
  async block(blockedMs, periodMs) {
    clearInterval(blocking)
    if (blockedMs > 0) blocking = setInterval(() => burn(blockedMs * 1e3), periodMs)
    return undefined
  },
  async close() {
    await node?.close()
    process.disconnect?.()
    return undefined
  },
}

async function start(options: WorkerOptions): Promise<Started> {
  const { name, cluster, bind, seeds, profile, services, expected, keys, handicapUs } = options
  const calledAt = machineMs()
  const handicap: Middleware = (_context, next) => {
    burn(handicapUs)
    return next()
  }
  node = await createNode({
    ...{ name, cluster, bind, seeds, profile },
    ...(keys === undefined ? {} : { keys }),
    ...(handicapUs > 0 ? { use: [handicap] } : {}),
  })
  const { running } = node.getServices()
  const readyAt = machineMs()
  watch(node, expected)
  for (const service of services) await provide(service)
  return { calledAt, readyAt, address: node.address, servicesSeen: running.size }
}

function watch(watched: ShoalNode, expected: number | undefined): void {
  let missing = expected
  const count = (): void => {
    if (missing === undefined || watched.members().filter(({ state }) => state === 'alive').length < missing) return
    missing = undefined
    saw('complete')
  }
  for (const member of watched.members()) if (member.state === 'alive') saw(`join ${member.name}`)
  count()
  watched.on('member', ({ type, member }) => {
    saw(`${type} ${member.name}`)
    count()
  })
  watched.on('service', ({ type, instance }) => {
    saw(`${type} ${instance.service}`)
    if (type === 'up' && instance.service.startsWith('news-')) void callNow(instance.service)
  })
}

/** A new service counts as arrived when a call to it was answered. */
async function callNow(service: string): Promise<void> {
  try {
    await started().callCb(service, 'echo', [service], { timeout: 5_000 })
    saw(`called ${service}`)
  } catch {
    // not seen: the bench reports who did not
  }
}

async function provide(service: string): Promise<void> {
  const registration = await started().provide(service, {
    echo: (value: unknown) => value,
    size: (value: Uint8Array) => value.length,
    async *items(count: number, bytes: number) {
      const item = new Uint8Array(bytes)
      for (let i = 0; i < count; i++) yield item
    },
  })
  registrations.set(service, registration)
}

/** Quiet is: nothing to send in several looks in a row, since news may be on its way from somebody else. */
async function quiet(limitMs: number): Promise<boolean> {
  const limitAt = machineMs() + limitMs
  for (let looks = 0; looks < 5; ) {
    const { rumours, userMessages } = started().inspect().membership.queued
    looks = rumours + userMessages === 0 ? looks + 1 : 0
    if (machineMs() > limitAt) return false
    await pause(50)
  }
  return true
}

function burn(us: number): void {
  const until = performance.now() + us / 1e3
  while (performance.now() < until);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function started(): ShoalNode {
  if (node === undefined) throw new Error('not started')
  return node
}

function tell(message: Message): void {
  if (process.connected) process.send?.(message)
}

function saw(what: string): void {
  tell({ kind: 'saw', sighting: { what, at: machineMs() } })
}

process.on('message', ({ id, name, args }: Order) => {
  const order = obey[name] as (...given: readonly unknown[]) => Promise<unknown>
  order(...args).then(
    (value) => tell({ kind: 'done', id, value }),
    (error: unknown) => tell({ kind: 'failed', id, message: String(error) }),
  )
})
// The bench is gone: nobody is left to measure for.
process.on('disconnect', () => process.exit(0))
