/** What a node does with another one whose process ends: when it lost the connection, and which calls it still gave it. */
import type { ShoalNode } from '../../src/index.js'

export interface PeerLoss {
  /** Wall clock ms at which no connection was left, seen at most `EVERY_MS` and a busy event loop too late. */
  readonly lostAt: number | undefined
  /** Calls that were given to it later than `GRACE_MS` after that. */
  readonly lateCalls: number
}

/** How long after the loss a call may still be given to it. */
export const GRACE_MS = 100
const EVERY_MS = 20

export class PeerWatch {
  readonly #node: ShoalNode
  readonly #peer: string
  readonly #timer: NodeJS.Timeout
  #wasConnected = false
  #lostAt: number | undefined
  #calls = 0
  #lateCalls = 0
  /** At the look before. */
  #isLate = false

  constructor(node: ShoalNode, peer: string) {
    this.#node = node
    this.#peer = peer
    this.#look()
    this.#timer = setInterval(() => this.#look(), EVERY_MS)
  }

  stop(): PeerLoss {
    clearInterval(this.#timer)
    this.#look()
    return { lostAt: this.#lostAt, lateCalls: this.#lateCalls }
  }

  #look(): void {
    const peers = this.#node.inspect().rpc.peers.peers.filter(({ node }) => node === this.#peer)
    const calls = peers.reduce((sum, peer) => sum + peer.calls, 0)
    const isConnected = peers.some(({ connections }) => connections.length > 0)
    this.#wasConnected ||= isConnected
    // A peer without connections is forgotten, and counts from 0 when it is called again.
    const fresh = calls < this.#calls ? calls : calls - this.#calls
    this.#calls = calls
    if (this.#isLate) this.#lateCalls += fresh
    if (this.#wasConnected && !isConnected) this.#lostAt ??= Date.now()
    this.#isLate = this.#lostAt !== undefined && Date.now() - this.#lostAt >= GRACE_MS
  }
}
