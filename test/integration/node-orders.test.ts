/**
 * Orders to a service and its node in any order, hooks and checks that fail by chance, in virtual time: every promise
 * settles, each start that worked is followed by one stop, and in the end the service can be provided and called again.
 */
import { afterEach, expect, it } from 'vitest'
import { isShoalError, type ProvideOptions, type Registration, type ShoalNode } from '../../src/index.js'
import { type Random, seededRandom } from '../../src/random.js'
import { createTestNetwork, type TestNetwork } from '../../src/testing/index.js'

const ORDERS = 25
const SETTLED_MS = 90_000

let net: TestNetwork
afterEach(() => net.close())

/** A service whose hooks take their time and fail now and then; `balance` is how many starts have not been stopped. */
function moodyService(random: Random) {
  const state = { balance: 0, starting: 0, startingMost: 0 }
  const start = async ({ signal }: { readonly signal: AbortSignal }): Promise<void> => {
    state.startingMost = Math.max(state.startingMost, ++state.starting)
    await Promise.race([net.sleep(300 * random()), new Promise((resolve) => signal.addEventListener('abort', resolve))])
    state.starting--
    if (signal.aborted || random() < 0.2) throw new Error('it does not start')
    state.balance++
  }
  const stop = async (): Promise<void> => {
    await net.sleep(300 * random())
    state.balance--
    if (random() < 0.2) throw new Error('it does not stop well')
  }
  const check = (): Promise<boolean> => net.sleep(50 * random()).then(() => random() < 0.7)
  const healthCheck = { check, interval: 200, failures: 2, delay: 50, timeout: 100 }
  const options: ProvideOptions = { start, stop, startTimeout: 20_000, ...(random() < 0.5 ? { healthCheck } : {}) }
  return { state, options, get: () => net.sleep(400 * random()) }
}

type Order = (registration: Registration, node: ShoalNode, random: Random) => Promise<unknown>

const KINDS: readonly Order[] = [
  (registration) => registration.pause('by chance'),
  (registration) => registration.resume(),
  (registration) => registration.resume(),
  (registration, _node, random) => registration.deactivate({ timeout: 500 * random() }),
  (registration, _node, random) => registration.drain({ timeout: 500 * random() }),
  (registration, _node, random) => registration.stop({ timeout: 500 * random() }),
  (_registration, node, random) => node.leave({ drain: 500 * random() }),
  (_registration, node) => node.join([]),
  async (registration) => registration.setMeta({ at: 1 }),
]

it.each(Array.from({ length: 20 }, (_, index) => index + 1))('in any order, seed %i', async (seed) => {
  const random = seededRandom(seed)
  net = createTestNetwork({ seed })
  const [a, b] = [await net.node({ name: 'a' }), await net.node({ name: 'b' })]
  const { state, options, get } = moodyService(random)
  let registration = await net.run(a.provide('users', { get }, options)).catch(() => undefined)
  const pending = new Set<Promise<unknown>>()
  const strange: unknown[] = []
  const follow = (order: Promise<unknown>): void => {
    pending.add(order)
    const settled = (): unknown => pending.delete(order)
    order.then(settled, (error) => settled() && !isShoalError(error) && strange.push(error))
  }
  for (let i = 0; i < ORDERS; i++) {
    const chance = random()
    if (chance < 0.3) await net.advance(500 * random())
    else if (chance < 0.4) follow(b.callCb('users', 'get', [], { nodes: ['a'], timeout: 1_000 }))
    else if (chance < 0.45 || registration === undefined)
      follow(a.provide('users', { get }, options).then((provided) => (registration = provided)))
    else follow((KINDS[Math.floor(random() * KINDS.length)] as Order)(registration, a, random))
  }
  await net.advance(SETTLED_MS)
  expect([pending.size, strange, state.startingMost <= 1]).toEqual([0, [], true])
  await net.run(a.join([]))
  await net.run((registration as Registration | undefined)?.stop() ?? Promise.resolve())
  expect(state.balance).toBe(0)
  await net.run(a.provide('users', { get: () => 1 }))
  await net.settled()
  expect(await net.run(b.callCb('users', 'get', []))).toBe(1)
})
