/** Registries without a network: each test decides which messages arrive, in which order, and when two of them sync. */
import { createHash } from 'node:crypto'
import { EMPTY_BYTES } from '../../src/bytes.js'
import { seededRandom } from '../../src/random.js'
import { decodeMessage } from '../../src/registry/codec.js'
import type { MemberView, RegistryEffect } from '../../src/registry/effects.js'
import type { RecordSet } from '../../src/registry/messages.js'
import { Registry } from '../../src/registry/registry.js'
import type { RegistryOptions } from '../../src/registry/registry-options.js'

export const BOOT_1 = '0190000000010000aaaa'
export const BOOT_2 = '0190000000020000bbbb'
export const BOOT_3 = '0190000000030000cccc'

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function newRegistry(node: string, options: Partial<RegistryOptions> = {}): Registry {
  return new Registry({ node, bootId: BOOT_1, rpcAddress: `${node}:1`, random: seededRandom(1), sha256, ...options })
}

export function member(name: string, fields: Partial<MemberView> = {}): MemberView {
  return { name, bootId: BOOT_1, state: 'alive', rpcAddress: `${name}:1`, ...fields }
}

/** Registries that see each other alive. */
export function newCluster(...names: string[]): Registry[] {
  const all = names.map((name) => newRegistry(name))
  for (const registry of all) for (const name of names) registry.handleMember(member(name))
  return all
}

/** The bytes to gossip, when the drained effects hold any. */
export function broadcastOf(effects: readonly RegistryEffect[]): Uint8Array | undefined {
  for (const effect of effects) if (effect.type === 'broadcast') return effect.broadcast.bytes
  return undefined
}

export function news(registry: Registry): Uint8Array {
  const bytes = broadcastOf(registry.drain())
  if (bytes === undefined) throw new Error('nothing to gossip')
  return bytes
}

/** Events as `type node/service`, and syncs as `sync node`. */
export function told(registry: Registry): string[] {
  return registry.drain().flatMap((effect) => {
    if (effect.type === 'sync') return [`sync ${effect.node}`]
    if (effect.type === 'broadcast' || effect.type === 'send') return []
    const { type, instance } = effect.event
    return [`${type} ${instance.node}/${instance.service}`]
  })
}

/** A whole push/pull, with `initiator` beginning. */
export function pushPull(initiator: Registry, responder: Registry): void {
  const asked = initiator.localState(undefined)
  const answer = responder.localState(asked)
  const early = responder.mergeState(asked)
  if (early !== undefined) throw new Error('a responder has nothing to add')
  const rest = initiator.mergeState(answer)
  if (rest !== undefined) responder.handleMessage(rest)
}

/** Carries out what the registries ask for, gossip apart, until they are at rest; says what was sent, as `a > b kind`. */
export function settle(
  cluster: readonly Registry[],
  options: { readonly lost?: (line: string) => boolean } = {},
): string[] {
  const sent: string[] = []
  const byName = new Map(cluster.map((registry) => [registry.inspect().node, registry]))
  for (let isBusy = true; isBusy; ) {
    isBusy = false
    for (const registry of cluster) {
      for (const effect of registry.drain()) {
        if (effect.type !== 'send' && effect.type !== 'sync') continue
        isBusy = true
        const kind = effect.type === 'sync' ? 'sync' : decodeMessage(effect.bytes)?.kind
        const line = `${registry.inspect().node} > ${effect.node} ${kind}`
        const to = byName.get(effect.node)
        sent.push(line)
        if (to === undefined || options.lost?.(line) === true) continue
        if (effect.type === 'sync') pushPull(registry, to)
        else to.handleMessage(effect.bytes)
      }
    }
  }
  return sent
}

/** All that a registry vouches for, in an order of its own making, for comparison. */
export function holdings(registry: Registry): RecordSet[] {
  const message = decodeMessage(registry.localState(EMPTY_BYTES))
  if (message?.kind !== 'state') throw new Error('no state')
  return message.sets
    .map((set) => ({ ...set, records: [...set.records].sort((a, b) => (a.service < b.service ? -1 : 1)) }))
    .sort((a, b) => (a.node < b.node ? -1 : 1))
}

/** Method names of so many bytes in all: what does not fit a packet however small its meta. */
export function methodsOf(bytes: number): string[] {
  return Array.from({ length: Math.ceil(bytes / 200) }, (_, i) => `${i}`.padStart(200, 'm'))
}

export function running(registry: Registry, service: string, at = 1_000): void {
  registry.provide({ service, version: '1.0.0', methods: ['get', 'put'], status: 'running' }, at)
}
