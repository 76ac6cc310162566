/**
 * A running cluster from outside: this process joins it as one more node, measures, and leaves. No method of anybody's
 * service is run: a call of a method that does not exist is refused by the callee's framework, after the same way there
 * and back.
 */
import { randomBytes } from 'node:crypto'
import { createNode, isRpcError, type ShoalNode } from '../../src/index.js'
import { machineMs } from '../lib/clock.js'
import type { Profile } from '../lib/options.js'
import { askView, envelopeFor, type View } from '../lib/remote-view.js'
import type { Bench, Suite, Value } from '../lib/suite.js'
import { disagreements } from '../report/agreement.js'

export interface ProbeOptions {
  readonly seeds: readonly string[]
  readonly cluster: string
  readonly repeats: number
  readonly profile: Profile
}

/** Nobody has such a method. */
const NO_METHOD = 'bench:no-such-method'
const LIMIT_MS = 3_000

export function probeSuite(options: ProbeOptions): Suite {
  return {
    name: 'cluster',
    about: 'a running cluster from outside',
    plan: () => ({ steps: 1 + 3 * options.repeats, seconds: 10 }),
    options: { cluster: options },
    run: (bench) => probe(options, bench),
  }
}

async function probe({ seeds, cluster, repeats, profile }: ProbeOptions, bench: Bench): Promise<void> {
  bench.step('join')
  const keys = process.env['SHOAL_KEYS']?.split(',').map((key) => key.trim())
  const calledAt = machineMs()
  const node = await createNode({
    ...{ cluster, seeds, profile, requireSeed: true },
    name: `bench-${randomBytes(4).toString('hex')}`,
    bind: process.env['SHOAL_BIND'] ?? (seeds.every(isLoopback) ? '127.0.0.1:0' : '0.0.0.0:0'),
    ...(keys === undefined ? {} : { keys }),
  })
  try {
    record(bench, { table: 'Membership', row: 'join', column: 'took', value: machineMs() - calledAt })
    const members = node.members().filter(({ name, state }) => name !== node.name && state === 'alive')
    for (let i = 0; i < repeats; i++) {
      bench.step('a ping to every node')
      for (const { name } of members) await pingOnce(node, name, bench)
      bench.step('a call to every service')
      for (const instances of node.getServices().running.values())
        for (const { service, node: at } of instances) await callOnce(node, service, at, bench)
      bench.step('the view of every node')
      await compareViews(node, members, envelopeFor(cluster, keys), bench)
    }
    bench.note(`\n${members.length} nodes were alive when this one (${node.name}) had joined.`)
  } finally {
    await node.leave()
    await node.close()
  }
  bench.note('Ping: over UDP and back. Call: of a method that nobody has, refused without running anything; the first')
  bench.note('opens a connection. Views: a push/pull that names nobody; "differs by" members that most see otherwise.')
}

async function pingOnce(node: ShoalNode, name: string, bench: Bench): Promise<void> {
  try {
    const value = await node.ping(name, { timeout: LIMIT_MS })
    record(bench, { table: 'Nodes', row: name, column: 'ping', value })
  } catch (error) {
    bench.miss(`ping of ${name}: ${String(error)}`)
  }
}

async function callOnce(node: ShoalNode, service: string, at: string, bench: Bench): Promise<void> {
  const startedAt = performance.now()
  try {
    await node.callCb(service, NO_METHOD, [], { nodes: [at], timeout: LIMIT_MS })
    bench.miss(`${service} at ${at} has a method ${NO_METHOD}`)
  } catch (error) {
    const value = performance.now() - startedAt
    if (isRpcError(error, 'NO_METHOD'))
      record(bench, { table: 'Services', row: `${service} at ${at}`, column: 'call', value })
    else bench.miss(`${service} at ${at}: ${String(error)}`)
  }
}

interface Asked {
  readonly name: string
  readonly address: string
}

async function compareViews(
  node: ShoalNode,
  members: readonly Asked[],
  envelope: ReturnType<typeof envelopeFor>,
  bench: Bench,
): Promise<void> {
  const views = new Map<string, View>([[node.name, new Map(node.members().map(({ name, state }) => [name, state]))]])
  for (const { name, address } of members) {
    const startedAt = performance.now()
    try {
      views.set(name, await askView(address, envelope, LIMIT_MS))
      record(bench, { table: 'Nodes', row: name, column: 'list of members', value: performance.now() - startedAt })
    } catch (error) {
      bench.miss(`the view of ${name}: ${String(error)}`)
    }
  }
  const wrong = disagreements(views, new Set([node.name]))
  const share = (100 * (views.size - wrong.length)) / views.size
  bench.record({ table: 'Agreement', row: 'views', column: 'agree', unit: '%', better: 'higher', value: share })
  for (const { node: name, lacks, adds } of wrong)
    bench.miss(`${name} lacks [${lacks.join(' ')}] and adds [${adds.join(' ')}]`)
}

function record(bench: Bench, value: Omit<Value, 'unit' | 'better'>): void {
  bench.record({ ...value, unit: 'ms', better: 'lower' })
}

function isLoopback(seed: string): boolean {
  return /^(127\.|localhost:|\[::1\])/.test(seed)
}
