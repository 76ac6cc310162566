/**
 * Whole clusters of registries whose nodes change services, crash, restart and come back, on a network that loses, doubles
 * and reorders: after a last round of rechecks everybody's view is the owners' truth.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Random, randomInt, seededRandom, shuffle } from '../../src/random.js'
import { makeBootId } from '../../src/registry/boot-id.js'
import type { RegistryEffect } from '../../src/registry/effects.js'
import type { ServiceStatus } from '../../src/registry/record.js'
import type { Registry } from '../../src/registry/registry.js'
import { member, newRegistry, pushPull } from '../support/registry-cluster.js'

const STATUS_OF = {
  pause: 'paused',
  resume: 'running',
  drain: 'draining',
  deactivate: 'stopped',
} as const satisfies Record<string, ServiceStatus>

const NODES = ['a', 'b', 'c', 'd']

const steps = fc.array(
  fc.record({
    node: fc.nat(NODES.length - 1),
    service: fc.nat(2),
    action: fc.constantFrom(
      ...(['provide', 'provide', 'pause', 'resume', 'drain', 'deactivate', 'withdraw'] as const),
      ...(['setMeta', 'setLargeMeta', 'crash', 'restart', 'rejoin', 'recheck', 'tick'] as const),
    ),
    wait: fc.constantFrom(1, 500, 20_000),
    /** Messages that arrive before the next step. */
    deliveries: fc.nat(4),
  }),
  { minLength: 1, maxLength: 50 },
)
type Steps = typeof steps extends fc.Arbitrary<infer T> ? T : never
type Step = Steps[number]

interface Machine {
  readonly name: string
  registry: Registry
  bootId: string
  /** It runs, but nobody sees it: cut off or crashed. */
  visible: boolean
}

class World {
  readonly #random: Random
  readonly #lossRate: number
  readonly machines: Machine[] = []
  #mail: { readonly to: string; readonly bytes: Uint8Array }[] = []
  #now = 1_000_000

  constructor(seed: number, lossRate: number) {
    this.#random = seededRandom(seed)
    this.#lossRate = lossRate
    for (const name of NODES) this.machines.push({ name, ...this.#boot(name), visible: true })
    for (const each of this.machines) this.#tellAll(each)
  }

  step({ node, service, action, wait, deliveries }: Step): void {
    this.#now += wait
    const machine = this.machines[node] as Machine
    this.#act(machine, `s${service}`, action)
    this.#collect()
    for (let i = 0; i < deliveries; i++) this.#deliverOne()
  }

  /** Everybody is back, what is under way arrives, and then they compare until nobody has anything left to say. */
  calmDown(): void {
    for (const machine of this.machines) if (!machine.visible) this.#rejoin(machine)
    while (this.#mail.length > 0) this.#deliverOne()
    for (let round = 0; round < 40; round++) {
      for (const { registry } of this.machines) {
        registry.handleTick()
        registry.recheck()
      }
      for (let left = 200; left > 0 && (this.#collect(0) || this.#mail.length > 0); left--) {
        while (this.#mail.length > 0) this.#deliverOne()
      }
    }
  }

  #boot(name: string): Pick<Machine, 'registry' | 'bootId'> {
    const bootId = makeBootId(this.#now, this.#random)
    return { registry: newRegistry(name, { bootId, random: seededRandom(randomInt(this.#random, 1_000_000)) }), bootId }
  }

  #act(machine: Machine, service: string, action: Step['action']): void {
    const { registry, name } = machine
    const isProvided = registry.instancesOf(name).some((each) => each.service === service)
    const at = this.#now
    switch (action) {
      case 'provide':
        if (!isProvided) registry.provide({ service, status: 'running' }, at)
        break
      case 'pause':
      case 'resume':
      case 'drain':
      case 'deactivate':
        if (isProvided) registry.setStatus(service, { status: STATUS_OF[action], at })
        break
      case 'withdraw':
        registry.withdraw(service, at)
        break
      case 'setMeta':
        if (isProvided) registry.setMeta(service, { at }, at)
        break
      case 'setLargeMeta':
        // Now and then one that somebody had before.
        if (isProvided) registry.setMeta(service, { text: 'x'.repeat(800 + (at % 3)) }, at)
        break
      case 'crash':
        machine.visible = false
        this.#tellAll(machine)
        break
      case 'restart':
        Object.assign(machine, this.#boot(name), { visible: true })
        this.#tellAll(machine)
        for (const other of this.machines) this.#show(other, machine)
        break
      case 'rejoin':
        this.#rejoin(machine)
        break
      case 'recheck':
        registry.recheck()
        break
      case 'tick':
        registry.handleTick()
    }
  }

  #rejoin(machine: Machine): void {
    machine.visible = true
    this.#tellAll(machine)
  }

  #tellAll(machine: Machine): void {
    for (const other of this.machines) if (other !== machine) this.#show(machine, other)
  }

  #show(machine: Machine, to: Machine): void {
    if (machine === to) return
    const { name, bootId, visible } = machine
    to.registry.handleMember(member(name, { bootId, state: visible ? 'alive' : 'dead' }))
  }

  /** Takes what the registries ask for; a push/pull happens at once or, with the loss rate, not at all. */
  #collect(lossRate: number = this.#lossRate): boolean {
    let isBusy = false
    for (const machine of this.machines) {
      for (const effect of machine.registry.drain()) {
        if (effect.type !== 'event') isBusy = true
        this.#carryOut(machine, effect, lossRate)
      }
    }
    return isBusy
  }

  #carryOut(from: Machine, effect: RegistryEffect, lossRate: number): void {
    if (effect.type === 'sync') {
      const peer = this.machines.find(({ name }) => name === effect.node)
      if (peer?.visible && from.visible && this.#random() >= lossRate) pushPull(from.registry, peer.registry)
    } else if (effect.type === 'send') this.#post(effect.node, effect.bytes, lossRate)
    else if (effect.type === 'broadcast') {
      for (const { name } of this.machines) if (name !== from.name) this.#post(name, effect.broadcast.bytes, lossRate)
    }
  }

  #post(to: string, bytes: Uint8Array, lossRate: number): void {
    if (this.#random() < lossRate) return
    this.#mail.push({ to, bytes })
    if (this.#random() < 0.2) this.#mail.push({ to, bytes })
  }

  #deliverOne(): void {
    this.#mail = shuffle(this.#mail, this.#random)
    const letter = this.#mail.pop()
    const machine = this.machines.find(({ name }) => name === letter?.to)
    if (letter === undefined || machine === undefined) return
    machine.registry.handleMessage(letter.bytes)
  }
}

function viewOf(registry: Registry, node: string): unknown {
  const instances = registry.instancesOf(node).map(({ local: _, ...shown }) => shown)
  return instances.sort((a, b) => (a.service < b.service ? -1 : 1))
}

test('whatever happens to owners and messages, a last recheck makes every view the truth of the owners', () => {
  fc.assert(
    fc.property(steps, fc.integer(), fc.constantFrom(0, 0.3, 0.9, 1), (script, seed, lossRate) => {
      const world = new World(seed, lossRate)
      for (const step of script) world.step(step)
      world.calmDown()
      for (const owner of world.machines) {
        const truth = viewOf(owner.registry, owner.name)
        for (const { registry, name } of world.machines) {
          expect(viewOf(registry, owner.name), `${name} of ${owner.name}`).toEqual(truth)
        }
      }
    }),
    { numRuns: 120 },
  )
})
