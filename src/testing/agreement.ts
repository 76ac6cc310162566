/**
 * Whether the nodes of a test network all know the same: of those that can reach each other each sees each alive, and
 * lists exactly what each provides. Compares what the nodes say; does not know how they came to it.
 */
import type { ShoalNode } from '../node/shoal-node.js'

/** A node, where it is, and whom it can send to. */
export interface Placed {
  readonly node: ShoalNode
  readonly address: string
}

/** The first difference in words, or undefined when there is none. */
export function disagreement(
  nodes: readonly Placed[],
  isCut: (from: string, to: string) => boolean,
): string | undefined {
  for (const group of groupsOf(nodes, isCut)) {
    const names = group.map(({ node }) => node.name).sort()
    const offered = group.flatMap(({ node }) => listed(node, true)).sort()
    for (const { node } of group) {
      const live = node.members().filter(({ state }) => state === 'alive' || state === 'suspect')
      const seen = live.map(({ name, state }) => (state === 'suspect' ? `${name} (suspect)` : name)).sort()
      if (!isSame(seen, names)) return `'${node.name}' sees ${show(seen)} instead of ${show(names)}`
      const known = listed(node, false).sort()
      if (!isSame(known, offered)) return `'${node.name}' lists ${show(known)} instead of ${show(offered)}`
    }
  }
  return undefined
}

/** Nodes of one cluster that reach each other, if need be by way of others. */
function groupsOf(nodes: readonly Placed[], isCut: (from: string, to: string) => boolean): Placed[][] {
  const left = new Set(nodes)
  const groups: Placed[][] = []
  for (const first of left) {
    left.delete(first)
    const group = [first]
    for (const { node, address } of group) {
      for (const other of left) {
        const isOpen = !isCut(address, other.address) && !isCut(other.address, address)
        if (!isOpen || other.node.cluster !== node.cluster) continue
        left.delete(other)
        group.push(other)
      }
    }
    groups.push(group)
  }
  return groups
}

/** The instances that a node lists: its own, or all. */
function listed(node: ShoalNode, isOwn: boolean): string[] {
  const all = [...node.getServices().running.values()].flat()
  return all
    .filter(({ local }) => local || !isOwn)
    .map(({ service, node: name, version, hash }) => `${service}@${name} ${version}/${hash}`)
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index])
}

function show(texts: readonly string[]): string {
  return texts.length === 0 ? 'nothing' : texts.join(', ')
}
