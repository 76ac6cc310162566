/**
 * Every failure at every stage of a call: its code, what it knows of the execution, how long it takes, and that nothing is
 * left of it. Real sockets; a process is really stopped or killed where a fake would not do.
 */
import { getEventListeners } from 'node:events'
import { afterAll, describe, expect, it } from 'vitest'
import { FrameKind } from '../../src/rpc/frame.js'
import {
  CallScene,
  callerOf,
  closedPort,
  outcomeOf,
  type SceneWish,
  STAGES,
  type Stage,
} from '../support/call-scene.js'
import { ScriptedCallee } from '../support/scripted-callee.js'
import { until } from '../support/until.js'

const FAULTS = ['refuse', 'reset', 'blackHole', 'slow', 'crash', 'cancel', 'deadline', 'drain', 'close'] as const
type Fault = (typeof FAULTS)[number]

interface Cell {
  /** `ok`, or the code and `executed`. */
  readonly end: string
  /** From the fault to the end of the call, in ms: what the limits of the scene say, and some for a busy machine. */
  readonly withinMs: number
  readonly strike: (scene: CallScene) => unknown
  readonly wish?: SceneWish
}

/** A cell, or why there is none. */
type Table = Readonly<Record<Fault, Readonly<Record<Stage, Cell | string>>>>

const BUSY_MS = 1_500
const RELAYED: SceneWish = { relayed: true }
const TIMEOUT_MS = 300

const cell = (end: string, strike: Cell['strike'], more: Partial<Cell> = {}): Cell => ({
  end,
  strike,
  withinMs: BUSY_MS,
  ...more,
})

/** The same fault at each stage, with what is known of the execution there. */
function row(code: string, strike: Cell['strike'], more: Partial<Cell> = {}): Record<Stage, Cell> {
  const executed: Record<Stage, string> = {
    dial: 'no',
    hello: 'no',
    queued: 'no',
    written: 'maybe',
    executing: 'maybe',
    replying: 'maybe',
    streaming: 'yes',
  }
  const cells = STAGES.map((stage) => [stage, cell(`${code} ${executed[stage]}`, strike, more)])
  return Object.fromEntries(cells) as Record<Stage, Cell>
}

const reset = (scene: CallScene): unknown => scene.peer?.socket.resetAndDestroy()
const stop = ({ relay }: CallScene): void => relay?.stop()
const nothing = (): void => {}
const after = async (ms: number, work: () => unknown): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, ms))
  await work()
}
const lost = row('CONNECTION_LOST', reset)
const silent = row('CONNECTION_LOST', stop, { wish: RELAYED })
const dead = row('CONNECTION_LOST', ({ relay }) => relay?.kill(), { wish: RELAYED })

const TABLE: Table = {
  refuse: {
    dial: cell('UNREACHABLE no', nothing), // see `begin`: nobody listens
    hello: cell('UNREACHABLE no', ({ peer }) => peer?.refuse(0, 'UNREACHABLE', 'no')),
    queued: cell('CONNECTION_LOST no', ({ peer }) => peer?.refuse(0, 'UNREACHABLE', 'no')),
    written: cell('UNAVAILABLE no', ({ peer, id }) => peer?.refuse(id, 'UNAVAILABLE', 'no')),
    executing: cell('REMOTE yes', ({ callee }) => callee?.fail()), // a handler cannot refuse: it can only fail
    replying: cell('CONNECTION_LOST maybe', ({ peer }) => peer?.refuse(0, 'UNREACHABLE', 'no')),
    // Whatever the callee says: an item has come.
    streaming: cell('UNAVAILABLE yes', ({ peer, id }) => peer?.refuse(id, 'UNAVAILABLE', 'no')),
  },
  reset: {
    ...lost,
    dial: cell('UNREACHABLE no', nothing), // see `begin`: accepted, and reset before a byte
    hello: cell('UNREACHABLE no', reset),
    executing: cell('CONNECTION_LOST maybe', ({ relay }) => relay?.reset(), { wish: RELAYED }),
  },
  blackHole: {
    ...silent,
    dial: cell('UNREACHABLE no', nothing, { wish: RELAYED }),
    hello: cell('UNREACHABLE no', stop, { wish: RELAYED }),
    queued: cell('CONNECTION_LOST no', stop, { wish: RELAYED }),
  },
  slow: {
    // The SYN that was not answered is sent again after a second.
    dial: cell('ok', ({ relay, peer }) => answering(peer, () => after(300, () => relay?.continue())), {
      wish: { ...RELAYED, limits: { connectMs: 5_000 } },
      withinMs: 4_000,
    }),
    hello: cell('ok', ({ peer }) => answering(peer, () => after(300, () => peer?.welcome()))),
    queued: cell('ok', ({ peer }) => answering(peer, () => after(300, () => peer?.socket.resume())), {
      withinMs: 5_000,
    }),
    written: cell('ok', ({ peer, id }) => after(800, () => peer?.reply(id, 'late'))),
    executing: cell('ok', ({ callee }) => after(800, () => callee?.release())),
    replying: cell('ok', (scene) => after(800, () => scene.replyRest())),
    streaming: cell('ok', (scene) => after(800, () => scene.endStream())),
  },
  crash: {
    ...dead,
    // The next SYN finds nobody.
    dial: cell('UNREACHABLE no', ({ relay }) => relay?.kill(), {
      wish: { ...RELAYED, limits: { connectMs: 5_000 } },
      withinMs: 4_000,
    }),
    hello: cell('UNREACHABLE no', ({ relay }) => relay?.kill(), { wish: RELAYED }),
  },
  cancel: {
    ...row('CANCELLED', ({ abort }) => abort.abort(), { withinMs: 500 }),
    dial: cell('CANCELLED no', ({ abort }) => abort.abort(), { withinMs: 500, wish: RELAYED }),
  },
  deadline: {
    ...row('DEADLINE_EXCEEDED', nothing, { wish: { timeout: TIMEOUT_MS } }),
    dial: cell('DEADLINE_EXCEEDED no', nothing, { wish: { ...RELAYED, timeout: TIMEOUT_MS } }),
    // Until the connection is full it takes some time.
    queued: cell('DEADLINE_EXCEEDED no', nothing, { wish: { timeout: TIMEOUT_MS } }),
  },
  drain: {
    dial: 'nobody is there to say that it goes away: the kernel refuses or is silent, as in the other rows',
    hello: cell('UNREACHABLE no', ({ peer }) => peer?.socket.end()),
    queued: cell('UNAVAILABLE no', ({ peer }) => peer?.goAway(1)),
    written: cell('UNAVAILABLE no', ({ peer }) => peer?.goAway(0)),
    executing: cell('ok', async ({ callee }) => {
      if (callee === undefined) return
      callee.admission = 'draining'
      const emptied = callee.rpc.drain('test', 5_000)
      callee.release()
      expect(await emptied).toBe(true)
      await callee.rpc.close()
    }),
    replying: cell('ok', (scene) => {
      scene.peer?.goAway(scene.id)
      scene.replyRest()
    }),
    streaming: cell('ok', (scene) => {
      scene.peer?.goAway(scene.id)
      scene.endStream()
    }),
  },
  close: {
    ...row('CLOSED', ({ caller }) => void caller.close(), { withinMs: 500 }),
    dial: cell('CLOSED no', ({ caller }) => void caller.close(), { withinMs: 500, wish: RELAYED }),
  },
}

/** From now on each request that comes is answered. */
function answering(peer: ScriptedCallee | undefined, strike: () => Promise<void>): Promise<void> {
  peer?.onRequest((id) => peer.reply(id, 'at last'))
  return strike()
}

/** How each cell ended, for the table at the end. */
const ends = new Map<string, string>()
const resources = (): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

/** Nothing of a cell is left in this process: no socket, no listener, no timer, no process, no pipe. */
async function leavesNothing(before: Record<string, number>): Promise<void> {
  const extra = (): Record<string, number> => {
    const now = resources()
    return Object.fromEntries(
      Object.keys(now).flatMap((kind) => {
        const more = (now[kind] ?? 0) - (before[kind] ?? 0)
        return more > 0 && kind !== 'Immediate' ? [[kind, more]] : []
      }),
    )
  }
  await until('nothing is left', () => Object.keys(extra()).length === 0, { within: 3_000, show: extra })
}

afterAll(() => {
  const lines = FAULTS.map((fault) => {
    const cells = STAGES.map((stage) => (ends.get(`${fault} ${stage}`) ?? '—').padEnd(34))
    return `${fault.padEnd(10)}${cells.join('')}`
  })
  process.stdout.write(`${' '.repeat(10)}${STAGES.map((stage) => stage.padEnd(34)).join('')}\n${lines.join('\n')}\n`)
})

it('no cell of the table is empty', () => {
  for (const fault of FAULTS) {
    for (const stage of STAGES) {
      const found = TABLE[fault][stage]
      if (typeof found === 'string') expect(found.length, `${fault} ${stage}`).toBeGreaterThan(20)
      else expect(found.end, `${fault} ${stage}`).toMatch(/^(ok|[A-Z_]+ (no|maybe|yes))$/)
    }
  }
})

describe.each(FAULTS)('%s', (fault) => {
  const cells = STAGES.flatMap((stage) => {
    const found = TABLE[fault][stage]
    return typeof found === 'string' ? [] : [{ stage, ...found }]
  })

  it.each(cells)('at $stage: $end', async ({ stage, end, withinMs, strike, wish }) => {
    const before = resources()
    if (stage === 'dial' && (fault === 'refuse' || fault === 'reset')) {
      ends.set(`${fault} ${stage}`, await dialled(fault === 'refuse', end))
      await leavesNothing(before)
      return
    }
    const madeAt = performance.now()
    const scene = await CallScene.at(stage, wish)
    try {
      const struckAt = performance.now()
      await strike(scene)
      const ended = await scene.ended
      const tookMs = performance.now() - struckAt
      ends.set(`${fault} ${stage}`, `${ended} ${Math.round(tookMs)} ms`)
      expect(ended).toBe(end)
      expect(tookMs).toBeLessThan(withinMs)
      if (fault === 'deadline') expect(performance.now() - madeAt).toBeGreaterThanOrEqual(TIMEOUT_MS)
      await leavesNoCall(scene, fault)
    } finally {
      await scene.close()
    }
    await leavesNothing(before)
  })
})

/** In flight, waiting or listening: nothing, on either side. */
async function leavesNoCall(scene: CallScene, fault: Fault): Promise<void> {
  const { callee, caller, abort, relay } = scene
  scene.dropFiller()
  const isTold = fault === 'cancel' || fault === 'deadline'
  if (isTold && scene.id > 0) expect(await scene.peer?.came(FrameKind.cancel)).toBe(scene.id)
  expect(getEventListeners(abort.signal, 'abort')).toEqual([])
  expect(scene.inFlight()).toBe(0)
  for (const { connections } of caller.stats().peers.peers)
    for (const { pending } of connections) expect(pending).toBe(0)
  if (callee === undefined) return
  expect(callee.ran).toBe(1)
  // Nobody told the callee that a way is dead.
  if (fault === 'blackHole') await relay?.kill()
  await until('the handler has ended', () => {
    const { inFlight, cancelledRunning } = callee.rpc.stats().handlers
    return inFlight === 0 && cancelledRunning === 0
  })
  expect(callee.rpc.stats().handlers.ignoredCancel).toBe(0)
}

/** A dial that ends before there is a connection: refused by the kernel, or reset as soon as it was accepted. */
async function dialled(isRefused: boolean, end: string): Promise<string> {
  const peer = isRefused ? undefined : await ScriptedCallee.listen('callee')
  peer?.onConnection((socket) => socket.resetAndDestroy())
  const caller = callerOf(peer?.port ?? (await closedPort()))
  try {
    const startedAt = performance.now()
    const failed = await outcomeOf(caller.callCb('test', 'get', [], { nodes: ['callee'] }))
    expect(failed).toBe(end)
    expect(performance.now() - startedAt).toBeLessThan(BUSY_MS)
    expect(caller.stats().peers).toMatchObject({ inFlight: 0, connections: 0 })
    return `${failed} ${Math.round(performance.now() - startedAt)} ms`
  } finally {
    await caller.close()
    await peer?.close()
  }
}
