/** memberlist's protocol version rules (verifyProtocol), judged before the list of a push/pull is merged. */
import { WIRE_STATE } from './wire/messages.js'

export interface Versioned {
  readonly name: string
  readonly vsn: Uint8Array
  readonly alive: boolean
}

export function versionedOf(node: { name: string; vsn: Uint8Array; state: number }): Versioned {
  return { name: node.name, vsn: node.vsn, alive: node.state === WIRE_STATE.alive }
}

/**
 * Every node, in any state, must speak a version that all alive ones understand. Returns a sentence about the first
 * that does not, or undefined. Records without versions are left out: memberlist does so too.
 */
export function versionConflict(nodes: readonly Versioned[]): string | undefined {
  const known = nodes.filter((node) => node.vsn.length === 6)
  const protocol = rangeOf(known, 0)
  const delegate = rangeOf(known, 3)
  for (const { name, vsn } of known) {
    const [, , protocolNow = 0, , , delegateNow = 0] = vsn
    if (protocolNow < protocol.min || protocolNow > protocol.max) {
      return `node '${name}' protocol version ${protocolNow} is outside [${protocol.min}, ${protocol.max}]`
    }
    if (delegateNow < delegate.min || delegateNow > delegate.max) {
      return `node '${name}' delegate protocol version ${delegateNow} is outside [${delegate.min}, ${delegate.max}]`
    }
  }
  return undefined
}

function rangeOf(nodes: readonly Versioned[], offset: 0 | 3): { min: number; max: number } {
  let min = 0
  let max = 255
  for (const { vsn, alive } of nodes) {
    if (!alive) continue
    min = Math.max(min, vsn[offset] ?? 0)
    max = Math.min(max, vsn[offset + 1] ?? 0)
  }
  return { min, max }
}
