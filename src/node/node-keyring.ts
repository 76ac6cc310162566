/**
 * The keys of a running node: one list for gossip and calls, so that a node is never protected by half. Gossip's keyring
 * decides what is a key and in which order they are; the calls follow it.
 */
import type { GossipKey, KeyringControl } from '../membership/index.js'
import type { Rpc } from '../rpc/index.js'

export class NodeKeyring implements KeyringControl {
  readonly #gossip: KeyringControl
  readonly #rpc: Rpc

  constructor(gossip: KeyringControl, rpc: Rpc) {
    this.#gossip = gossip
    this.#rpc = rpc
  }

  add(key: GossipKey): void {
    this.#gossip.add(key)
    this.#follow()
  }

  use(key: GossipKey): void {
    this.#gossip.use(key)
    this.#follow()
  }

  remove(key: GossipKey): void {
    this.#gossip.remove(key)
    this.#follow()
  }

  list(): readonly string[] {
    return this.#gossip.list()
  }

  #follow(): void {
    this.#rpc.setKeys(this.list().map((key) => Uint8Array.from(atob(key), (char) => char.charCodeAt(0))))
  }
}
