/** What a connection makes a node keep is counted as what it takes of memory, so that the bounds are bounds of memory. */
import { expect, it } from 'vitest'
import { ByteBudget } from '../../src/rpc/byte-budget.js'
import { FRAME_BYTES_MAX, FrameKind, MORE_FLAG } from '../../src/rpc/frame.js'
import { FrameReader } from '../../src/rpc/frame-reader.js'
import { PARTIAL_MESSAGES_MAX, PIECE_BYTES_MIN, Reassembly } from '../../src/rpc/reassembly.js'
import { heldBytes } from '../fuzz/allocation-gauge.js'
import { rawFrame } from '../support/session-pair.js'
import { until } from '../support/until.js'

const CONNECTIONS = 40
const MIB = 1024 * 1024
/** Of other things, in all. */
const SLACK = 2 * MIB

const bytesOf = (length: number) => ({ bytes: new Uint8Array(length), start: 0, end: length })
const reassemblies = (budget: ByteBudget): Reassembly[] =>
  Array.from({ length: CONNECTIONS }, () => new Reassembly({ frameBytesMax: FRAME_BYTES_MAX, budget }))
const addPiece = (to: Reassembly, id: number, length: number): unknown =>
  to.handle(FrameKind.request | MORE_FLAG, id, bytesOf(length), () => true)

/** What `hold` keeps must be counted, and a multiple of what came at most. */
function expectCounted(budget: ByteBudget, cameBytes: number, hold: () => unknown): void {
  const before = heldBytes()
  const kept = hold()
  const grown = heldBytes() - before
  expect(grown).toBeLessThan(budget.taken + SLACK)
  expect(budget.taken).toBeLessThanOrEqual(4 * cameBytes)
  expect(kept).toBeDefined()
}

it('messages of which a small piece came hold no large buffers', () => {
  const budget = new ByteBudget(1e9)
  expectCounted(budget, CONNECTIONS * PARTIAL_MESSAGES_MAX * PIECE_BYTES_MIN, () => {
    const all = reassemblies(budget)
    for (const each of all) for (let id = 0; id < PARTIAL_MESSAGES_MAX; id++) addPiece(each, id, PIECE_BYTES_MIN)
    return all
  })
})

it('the buffer of a message that is over is counted as long as it is kept, and never takes what others need', async () => {
  const budget = new ByteBudget(40 * MIB)
  const before = heldBytes()
  const all = reassemblies(budget)
  for (const each of all) {
    for (let i = 0; i < 32; i++) expect(addPiece(each, 1, 65_536)).toBeUndefined()
    expect(each.handle(FrameKind.request, 1, bytesOf(1), () => true)).toMatchObject({ end: 2 * MIB + 1 })
  }
  // What was just given up is swept beside the program.
  const show = (): unknown => ({ grown: heldBytes() - before, taken: budget.taken })
  await until('no more is held than counted', () => heldBytes() - before < budget.taken + SLACK, { show })
  expect(budget.taken).toBeLessThanOrEqual(10 * MIB)
  for (const each of all) each.clear()
  expect(budget.taken).toBe(0)
})

it('a frame that has begun is counted until it is whole, or its connection is gone', () => {
  const budget = new ByteBudget(1e9)
  const frame = rawFrame(FrameKind.request, 1, new Uint8Array(4_000_000))
  const readers = Array.from({ length: CONNECTIONS }, () => {
    return new FrameReader({ handleFrame: () => true }, FRAME_BYTES_MAX, budget)
  })
  expectCounted(budget, CONNECTIONS * 600_000, () => {
    for (const reader of readers) reader.push(frame.subarray(0, 600_000), 600_000)
    return readers
  })
  expect(budget.taken).toBeGreaterThanOrEqual(CONNECTIONS * 600_000)
  const [whole, ...cut] = readers
  whole?.push(frame.subarray(600_000), frame.length - 600_000)
  for (const reader of cut) reader.clear()
  expect(budget.taken).toBe(0)
})

it('a frame that would take more than there is ends its connection before it is kept', () => {
  const budget = new ByteBudget(1_000_000)
  const reader = new FrameReader({ handleFrame: () => true }, FRAME_BYTES_MAX, budget)
  const frame = rawFrame(FrameKind.request, 1, new Uint8Array(8_000_000))
  const faults: unknown[] = []
  for (let at = 0; at < frame.length; at += 65_536) {
    const part = frame.subarray(at, at + 65_536)
    faults.push(reader.push(part, part.length))
  }
  expect(faults.filter((fault) => fault !== undefined)).toEqual(['too-many-bytes-held'])
  expect([budget.taken, reader.bufferedBytes()]).toEqual([0, 0])
})
