import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, expect, it } from 'vitest'
import { callWithSignal, METHODS, SERVICE } from '../support/signal-calls.js'
import { TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

const MIB = 1_048_576
const nodes = new TestNodes()
afterEach(() => nodes.close())

function heapAfterCollection(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}

it('a million calls on one signal leave no listener and no memory', { timeout: 900_000 }, async () => {
  const [a, b] = await nodes.startAll('a', 'b')
  await Promise.all([a, b].map((node) => node.provide(SERVICE, { ...METHODS, never: METHODS.later })))
  await until('a sees both', () => a.getNodes(SERVICE).length === 2)
  const { signal } = new AbortController()
  await callWithSignal(a, signal, 50_000, 5_000)
  const before = heapAfterCollection()
  const use = await callWithSignal(a, signal, 1_000_000, 5_000)
  const grownBy = heapAfterCollection() - before
  process.stdout.write(`${JSON.stringify(use)}, heap ${(grownBy / MIB).toFixed(1)} MiB larger\n`)
  expect(use).toMatchObject({ made: 1_000_000, listenersLeft: 0 })
  expect(use.listenersMax).toBeLessThan(10)
  expect(grownBy).toBeLessThan(8 * MIB)
})
