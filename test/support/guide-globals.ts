/** What the code of the guide may use without saying where it comes from: a node, and the reader's own work. */
import type { Registration, ShoalNode } from '../../src/index.js'
import type { TestNetwork } from '../../src/testing/index.js'

declare global {
  const node: ShoalNode
  const registration: Registration
  const net: TestNetwork
  const a: ShoalNode
  const b: ShoalNode
  const c: ShoalNode
  /** The reader's database. */
  const db: {
    connect(options?: { signal?: AbortSignal }): Promise<void>
    close(): Promise<void>
    ping(): Promise<boolean>
    find(id: string): Promise<{ id: string; name: string }>
    insert(row: object): Promise<void>
  }
}
