import { afterEach, expect, it } from 'vitest'
import { callWithSignal, listenersOf, METHODS, SERVICE } from '../support/signal-calls.js'
import { TestNodes } from '../support/test-nodes.js'
import { until } from '../support/until.js'

const nodes = new TestNodes()
afterEach(() => nodes.close())

it('calls of every kind leave nothing on the signal that they share, and few listeners while they run', async () => {
  const [a, b] = await nodes.startAll('a', 'b')
  await Promise.all([a, b].map((node) => node.provide(SERVICE, METHODS)))
  await until('a sees both', () => a.getNodes(SERVICE).length === 2)
  const controller = new AbortController()
  const warnings: Error[] = []
  const onWarning = (warning: Error): unknown => warnings.push(warning)
  process.on('warning', onWarning)
  const use = await callWithSignal(a, controller.signal, 4_000)
  process.off('warning', onWarning)
  expect(use).toMatchObject({ made: 4_000, listenersLeft: 0 })
  expect(use.failed).toBeGreaterThan(400)
  expect(use.failed).toBeLessThan(1_000)
  expect(use.listenersMax).toBeGreaterThan(0)
  expect(use.listenersMax).toBeLessThan(10)
  expect(warnings).toEqual([])

  const held = a.callCb(SERVICE, 'never', [], { signal: controller.signal, nodes: ['b'] })
  controller.abort()
  await expect(held).rejects.toMatchObject({ code: 'CANCELLED' })
  expect(listenersOf(controller.signal)).toBe(0)
})
