/** Merging over every kind of message, by every way it comes: the end depends on what came, not on order or number. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EMPTY_BYTES } from '../../src/bytes.js'
import { seededRandom, shuffle } from '../../src/random.js'
import { decodeMessage, encodeMessage, encodeMeta } from '../../src/registry/codec.js'
import type { Registry } from '../../src/registry/registry.js'
import { BOOT_1, BOOT_2, holdings, member, newRegistry, news, pushPull } from '../support/registry-cluster.js'

type Way = 'message' | 'state'
interface Sent {
  readonly way: Way
  readonly bytes: Uint8Array
}

const script = fc.array(
  fc.record({
    service: fc.nat(3),
    action: fc.constantFrom('toggle', 'status', 'meta', 'large', 'long'),
    wait: fc.constantFrom(1, 20_000),
  }),
  { minLength: 1, maxLength: 12 },
)
type Script = typeof script extends fc.Arbitrary<infer T> ? T : never

/** Everything that an owner's life makes anybody send: each kind of message, at each of its revs. */
function sentBy(bootId: string, steps: Script): { owner: Registry; sent: Sent[] } {
  const owner = newRegistry('owner', { bootId })
  const sent: Sent[] = []
  let now = 1_000
  for (const { service, action, wait } of steps) {
    now += wait
    act(owner, `s${service}`, action, now)
    const { node, rev } = owner.inspect()
    sent.push({ way: 'message', bytes: news(owner) })
    sent.push({ way: 'message', bytes: encodeMessage({ kind: 'announce', node, bootId, rev }) })
    sent.push({ way: 'message', bytes: encodeMessage({ kind: 'records', sets: holdings(owner) }) })
    sent.push({ way: 'state', bytes: owner.localState(undefined) })
    sent.push({ way: 'state', bytes: owner.localState(EMPTY_BYTES) })
    for (const { meta } of owner.instancesOf('owner')) {
      sent.push({ way: 'message', bytes: encodeMessage({ kind: 'bodies', bodies: [encodeMeta(meta)] }) })
    }
  }
  return { owner, sent }
}

function act(owner: Registry, service: string, action: Script[number]['action'], now: number): void {
  const present = owner.instancesOf('owner').find((each) => each.service === service)
  if (present === undefined) owner.provide({ service, status: 'running' }, now)
  else if (action === 'toggle') owner.withdraw(service, now)
  else if (action === 'meta') owner.setMeta(service, { now }, now)
  else if (action === 'large') owner.setMeta(service, { text: 'x'.repeat(700), now }, now)
  else if (action === 'long')
    owner.setStatus(service, { status: 'failed', reason: `€${now}`.padEnd(900, '€'), at: now })
  else owner.setStatus(service, { status: present.status === 'running' ? 'paused' : 'running', at: now })
}

function receiver(bootId: string): Registry {
  const registry = newRegistry('receiver')
  registry.handleMember(member('owner', { bootId }))
  return registry
}

function take(registry: Registry, sent: readonly Sent[]): Registry {
  for (const { way, bytes } of sent) {
    if (way === 'state') registry.mergeState(bytes)
    else registry.handleMessage(bytes)
    registry.drain()
  }
  return registry
}

/** All that a user or a peer could see of a registry but for what it still waits for. */
function seen(registry: Registry): unknown {
  return {
    holdings: holdings(registry),
    shown: registry.instancesOf('owner').sort((a, b) => (a.service < b.service ? -1 : 1)),
  }
}

/** The same with the large metas that are on their way, which those that came too early would be again. */
function settled(registry: Registry, owner: Registry): unknown {
  for (const { meta } of owner.instancesOf('owner')) {
    registry.handleMessage(encodeMessage({ kind: 'bodies', bodies: [encodeMeta(meta)] }))
  }
  return seen(registry)
}

describe('merging messages of every kind', () => {
  test('commutes and associates once a full set is among them, and what came before it does not matter', () => {
    fc.assert(
      fc.property(script, script, fc.integer(), (first, second, seed) => {
        const lives = [sentBy(BOOT_1, first), sentBy(BOOT_2, second)] as const
        const random = seededRandom(seed)
        for (const [shown, life] of [
          [BOOT_1, lives[0]],
          [BOOT_2, lives[1]],
        ] as const) {
          const last: Sent = { way: 'state', bytes: life.owner.localState(EMPTY_BYTES) }
          const all = [...lives[0].sent, ...lives[1].sent, last]
          const one = take(receiver(shown), shuffle([...all], random))
          const other = take(receiver(shown), shuffle([...all, ...all], random))
          expect(settled(one, life.owner)).toEqual(settled(other, life.owner))
          expect(holdings(one)).toEqual(holdings(life.owner))
        }
      }),
      { numRuns: 60 },
    )
  })

  test('is idempotent: each message a second time changes nothing, not even an event', () => {
    fc.assert(
      fc.property(script, fc.integer(), (steps, seed) => {
        const { sent } = sentBy(BOOT_1, steps)
        const b = receiver(BOOT_1)
        for (const each of shuffle([...sent], seededRandom(seed))) {
          take(b, [each])
          const before = seen(b)
          if (each.way === 'state') b.mergeState(each.bytes)
          else b.handleMessage(each.bytes)
          expect(b.drain().filter((effect) => effect.type === 'event')).toEqual([])
          expect(seen(b)).toEqual(before)
        }
      }),
      { numRuns: 100 },
    )
  })

  test('never goes back: rev rises, and a meta that is shown is the one of the rev that is held', () => {
    fc.assert(
      fc.property(script, fc.integer(), (steps, seed) => {
        const owner = newRegistry('owner')
        const truth = new Map<number, unknown>()
        const sent: Sent[] = []
        let now = 1_000
        for (const { service, action, wait } of steps) {
          now += wait
          act(owner, `s${service}`, action, now)
          const metas = owner
            .instancesOf('owner')
            .map(({ service: name, meta, hash }) => [name, { meta, hash }] as const)
          truth.set(owner.inspect().rev, Object.fromEntries(metas))
          sent.push({ way: 'message', bytes: news(owner) }, { way: 'state', bytes: owner.localState(EMPTY_BYTES) })
          for (const [, { meta }] of metas) {
            sent.push({ way: 'message', bytes: encodeMessage({ kind: 'bodies', bodies: [encodeMeta(meta)] }) })
          }
        }
        const b = receiver(BOOT_1)
        let last = 0
        const random = seededRandom(seed)
        for (const each of shuffle([...sent, ...sent], random).filter(() => random() < 0.8)) {
          take(b, [each])
          const rev = holdings(b).find((set) => set.node === 'owner')?.rev ?? 0
          expect(rev).toBeGreaterThanOrEqual(last)
          last = rev
          const metas = (truth.get(rev) ?? {}) as Record<string, { meta: unknown; hash: string }>
          for (const { service, meta, metaPending, hash } of b.instancesOf('owner')) {
            expect(hash).toBe(metas[service]?.hash)
            expect(meta).toEqual(metaPending ? {} : metas[service]?.meta)
          }
        }
      }),
      { numRuns: 100 },
    )
  })

  test('every kind is among them', () => {
    const steps: Script = [
      { service: 0, action: 'toggle', wait: 1 },
      { service: 0, action: 'large', wait: 1 },
      { service: 1, action: 'toggle', wait: 20_000 },
    ]
    const { owner, sent } = sentBy(BOOT_1, steps)
    const kinds = new Set(sent.map(({ bytes }) => decodeMessage(bytes)?.kind))
    expect([...kinds].sort()).toEqual(['announce', 'bodies', 'change', 'digest', 'records', 'state'])
    const b = receiver(BOOT_1)
    pushPull(b, owner)
    expect(holdings(b)).toEqual(holdings(owner))
  })
})
