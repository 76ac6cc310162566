/** Nodes of one test in this process: real sockets on loopback, a cluster of their own, all closed at its end. */
import { createNode, type Member, type NodeOptions, type ShoalNode } from '../../src/index.js'
import { until } from './until.js'

let clusters = 0

export class TestNodes {
  readonly cluster: string = `test-${process.pid}-${++clusters}`
  readonly #nodes: ShoalNode[] = []

  /** Starts a node that joins the first one. */
  async start(name: string, options: NodeOptions = {}): Promise<ShoalNode> {
    const first = this.#nodes[0]
    const seeds = first === undefined ? [] : [first.address]
    const node = await createNode({ cluster: this.cluster, name, bind: '127.0.0.1:0', seeds, ...options })
    this.#nodes.push(node)
    return node
  }

  /** Each sees each alive. */
  async startAll<const Names extends readonly string[]>(
    ...names: Names
  ): Promise<{ [Index in keyof Names]: ShoalNode }> {
    const nodes: ShoalNode[] = []
    for (const name of names) nodes.push(await this.start(name))
    await until('all nodes see each other', () => {
      return nodes.every((node) => names.every((name) => stateOf(node, name) === 'alive'))
    })
    return nodes as { [Index in keyof Names]: ShoalNode }
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.splice(0).map((node) => node.close()))
  }
}

export function memberOf(node: ShoalNode, name: string): Member | undefined {
  return node.members().find((member) => member.name === name)
}

export function stateOf(node: ShoalNode, name: string): Member['state'] | undefined {
  return memberOf(node, name)?.state
}

/** What the promise rejects with; an error when it resolves. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it did not reject')
}
