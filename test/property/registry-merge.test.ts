import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EMPTY_BYTES } from '../../src/bytes.js'
import { randomInt, seededRandom, shuffle } from '../../src/random.js'
import type { Registry } from '../../src/registry/registry.js'
import {
  BOOT_1,
  BOOT_2,
  BOOT_3,
  holdings,
  member,
  newRegistry,
  news,
  pushPull,
  running,
} from '../support/registry-cluster.js'

/** What an owner does, in order. Later boots begin anew. */
interface Step {
  readonly service: number
  readonly action: 'toggle' | 'pause' | 'meta' | 'large' | 'long'
  /** Changes further apart than the window are not repeated together. */
  readonly wait: number
}

const steps = fc.array(
  fc.record<Step>({
    service: fc.nat(5),
    action: fc.constantFrom('toggle', 'toggle', 'pause', 'meta', 'large', 'long'),
    wait: fc.constantFrom(1, 1, 1_000, 20_000),
  }),
  { minLength: 1, maxLength: 25 },
)

interface Life {
  readonly owner: Registry
  /** All that it said, by gossip and by push/pull, at every rev. */
  readonly gossip: readonly Uint8Array[]
  readonly states: readonly Uint8Array[]
}

function live(bootId: string, script: readonly Step[]): Life {
  const owner = newRegistry('owner', { bootId })
  const gossip: Uint8Array[] = []
  const states: Uint8Array[] = []
  let now = 1_000
  for (const { service, action, wait } of script) {
    now += wait
    act(owner, `s${service}`, action, now)
    gossip.push(news(owner))
    states.push(owner.localState(EMPTY_BYTES))
  }
  return { owner, gossip, states }
}

function act(owner: Registry, service: string, action: Step['action'], now: number): void {
  const present = owner.instancesOf('owner').find((each) => each.service === service)
  if (present === undefined) running(owner, service, now)
  else if (action === 'toggle') owner.withdraw(service, now)
  else if (action === 'meta') owner.setMeta(service, { now }, now)
  else if (action === 'large') owner.setMeta(service, { text: 'x'.repeat(2_000), now }, now)
  else if (action === 'long')
    owner.setStatus(service, { status: 'paused', reason: `${now}`.padEnd(1_024, '€'), at: now })
  else owner.setStatus(service, { status: present.status === 'running' ? 'paused' : 'running', at: now })
}

function receiver(bootId: string): Registry {
  const registry = newRegistry('receiver')
  registry.handleMember(member('owner', { bootId }))
  return registry
}

/** A registry as a merge function: takes any message in by the way it would come. */
function feed(registry: Registry, messages: readonly Uint8Array[], states: ReadonlySet<Uint8Array>): Registry {
  for (const bytes of messages) {
    if (states.has(bytes)) registry.mergeState(bytes)
    else registry.handleMessage(bytes)
  }
  return registry
}

const orders = { seed: fc.integer(), keep: fc.double({ min: 0, max: 1, noNaN: true }) }

function scramble(messages: readonly Uint8Array[], seed: number, keep: number): Uint8Array[] {
  const random = seededRandom(seed)
  const kept = messages.filter(() => random() < keep)
  const repeated = kept.filter(() => random() < 0.3)
  return shuffle([...kept, ...repeated], random)
}

describe('merging', () => {
  test('any order, repetition and loss, followed by one full sync, ends in the state of the owner', () => {
    fc.assert(
      fc.property(steps, orders.seed, orders.keep, (script, seed, keep) => {
        const { owner, gossip, states } = live(BOOT_1, script)
        const b = receiver(BOOT_1)
        feed(b, scramble([...gossip, ...states], seed, keep), new Set(states))
        pushPull(b, owner)
        expect(holdings(b)).toEqual(holdings(owner))
        expect(b.behind()).toEqual([])
      }),
      { numRuns: 300 },
    )
  })

  test('at every moment a receiver holds exactly what the owner had at that rev', () => {
    fc.assert(
      fc.property(steps, orders.seed, orders.keep, (script, seed, keep) => {
        const { gossip, states } = live(BOOT_1, script)
        const byRev = states.map((state) => holdings(feed(receiver(BOOT_1), [state], new Set(states))))
        const b = receiver(BOOT_1)
        for (const bytes of scramble([...gossip, ...states], seed, keep)) {
          const before = holdings(b)[0]?.rev ?? 0
          feed(b, [bytes], new Set(states))
          const after = holdings(b)
          const rev = after[0]?.rev ?? 0
          expect(rev).toBeGreaterThanOrEqual(before)
          if (rev > 0) expect(after).toEqual(byRev[rev - 1])
        }
      }),
      { numRuns: 200 },
    )
  })

  test('full sets commute, associate and repeat without effect', () => {
    fc.assert(
      fc.property(steps, steps, orders.seed, (first, second, seed) => {
        const lives = [live(BOOT_1, first), live(BOOT_2, second)]
        const states = lives.flatMap((life) => life.states)
        const all = new Set(states)
        const random = seededRandom(seed)
        const pick = (): Uint8Array => states[randomInt(random, states.length)]!
        const [x, y, z] = [pick(), pick(), pick()]
        for (const shown of [BOOT_1, BOOT_2]) {
          const merged = (...messages: Uint8Array[]) => holdings(feed(receiver(shown), messages, all))
          expect(merged(x, y)).toEqual(merged(y, x))
          expect(merged(x, x)).toEqual(merged(x))
          expect(merged(x, y, z)).toEqual(merged(z, y, x))
          // (x + y) + z = x + (y + z), where a sum is what a third registry would hand on.
          const sum = (...messages: Uint8Array[]) => feed(receiver(shown), messages, all).localState(EMPTY_BYTES)
          const left = [sum(x, y), z]
          const right = [x, sum(y, z)]
          const states3 = new Set([...all, ...left, ...right])
          expect(holdings(feed(receiver(shown), left, states3))).toEqual(
            holdings(feed(receiver(shown), right, states3)),
          )
        }
      }),
      { numRuns: 200 },
    )
  })

  test('an older boot never overwrites a newer one, before or after membership shows it', () => {
    fc.assert(
      fc.property(steps, steps, steps, orders.seed, (first, second, third, seed) => {
        const lives = [live(BOOT_1, first), live(BOOT_2, second), live(BOOT_3, third)]
        const newest = lives[2]!
        const all = lives.flatMap((life) => [...life.gossip, ...life.states])
        const states = new Set(lives.flatMap((life) => life.states))
        const last = newest.states.at(-1)!
        const b = newRegistry('receiver')
        feed(b, [last], states)
        feed(b, scramble(all, seed, 1), states)
        b.handleMember(member('owner', { bootId: BOOT_3 }))
        expect(holdings(b)).toEqual(holdings(newest.owner))
        feed(b, scramble(all, seed + 1, 1), states)
        expect(holdings(b)).toEqual(holdings(newest.owner))
      }),
      { numRuns: 150 },
    )
  })

  test('what is listed is always what a fresh registry would list from the same records', () => {
    fc.assert(
      fc.property(
        steps,
        orders.seed,
        fc.array(fc.constantFrom('alive', 'suspect', 'dead', 'left')),
        (script, seed, walk) => {
          const { gossip, states } = live(BOOT_1, script)
          const b = receiver(BOOT_1)
          const listed = new Map<string, unknown>()
          const follow = (): void => {
            for (const effect of b.drain()) {
              if (effect.type !== 'event') continue
              const { type, instance } = effect.event
              expect(type).toBe(type === 'down' ? 'down' : listed.has(instance.service) ? 'update' : 'up')
              if (type === 'down') expect(listed.delete(instance.service)).toBe(true)
              else listed.set(instance.service, instance)
            }
          }
          for (const [i, bytes] of scramble([...gossip, ...states], seed, 0.7).entries()) {
            feed(b, [bytes], new Set(states))
            const state = walk[i % Math.max(1, walk.length)]
            if (state !== undefined) b.handleMember(member('owner', { state }))
            follow()
            const now = b.instancesOf('owner').filter((each) => each.status === 'running')
            expect(new Map(now.map((each) => [each.service, each]))).toEqual(listed)
            for (const each of now) expect(b.getInstances(each.service)).toEqual([each])
          }
        },
      ),
      { numRuns: 200 },
    )
  })
})
