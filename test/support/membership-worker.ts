/**
 * A membership in a process of its own. It joins the seed named in its arguments, blocks its event loop when ordered
 * to, and tells what it has seen. Ordered to close it lets go of everything and must then end by itself.
 */
import { Membership } from '../../src/membership/membership.js'
import { FAST } from './membership-node.js'

export type WorkerOrder =
  /** Stand still from the moment it tells the others of its next suspicion. */
  | { readonly type: 'blockWhenSuspecting'; readonly ms: number; readonly listenMs: number }
  | { readonly type: 'block'; readonly ms: number; readonly listenMs: number }
  /** Compute for so long without a break, then go on. */
  | { readonly type: 'busy'; readonly ms: number }
  /** Report what it sees, and whom it accused since the last look. */
  | { readonly type: 'look' }
  | { readonly type: 'close' }

export type WorkerReport =
  | { readonly type: 'joined'; readonly error: string | undefined; readonly address: string }
  | { readonly type: 'waiting' }
  | { readonly type: 'resumed' }
  | {
      readonly type: 'seen'
      readonly accused: readonly string[]
      readonly view: Readonly<Record<string, string>>
    }
  | {
      readonly type: 'listened'
      readonly accused: readonly string[]
      readonly healthScoreMax: number
      readonly blockedMs: number
    }

const [name = '', seed = ''] = process.argv.slice(2)
const accused: string[] = []
let waitingOrder: { readonly ms: number; readonly listenMs: number } | undefined
const membership = await Membership.start({
  cluster: 'test',
  name,
  bind: '127.0.0.1:0',
  tuning: FAST,
  seeds: seed === '' ? [] : [seed],
  onEvent: ({ type, member }) => {
    if (type === 'suspect' || type === 'dead') accused.push(`${type} ${member.name}`)
    const order = waitingOrder
    if (type !== 'suspect' || order === undefined) return
    waitingOrder = undefined
    setImmediate(() => blockAndListen(order)) // so that timers come first when the loop goes on
  },
})

process.on('message', (order: WorkerOrder) => void obey(order))
const [result] = await membership.joinSeeds()
report({ type: 'joined', error: result?.error, address: membership.address })

async function obey(order: WorkerOrder): Promise<void> {
  if (order.type === 'close') {
    await membership.close()
    process.disconnect()
    return
  }
  if (order.type === 'look') {
    const view = Object.fromEntries(membership.members().map(({ name: member, state }) => [member, state]))
    report({ type: 'seen', accused: accused.splice(0), view })
    return
  }
  accused.length = 0
  if (order.type === 'busy') {
    const end = performance.now() + order.ms
    while (performance.now() < end);
    report({ type: 'resumed' })
    return
  }
  if (order.type === 'block') blockAndListen(order)
  else {
    waitingOrder = order
    report({ type: 'waiting' })
  }
}

function blockAndListen(order: { readonly ms: number; readonly listenMs: number }): void {
  const start = performance.now()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, order.ms)
  const blockedMs = performance.now() - start
  let healthScoreMax = 0
  const look = setInterval(() => {
    healthScoreMax = Math.max(healthScoreMax, membership.stats().healthScore)
  }, 5)
  setTimeout(() => {
    clearInterval(look)
    report({ type: 'listened', accused: [...accused], healthScoreMax, blockedMs })
  }, order.listenMs)
}

function report(message: WorkerReport): void {
  process.send?.(message)
}
