import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ByteBudget } from '../../src/rpc/byte-budget.js'
import { FrameKind, MORE_FLAG } from '../../src/rpc/frame.js'
import { FrameReader } from '../../src/rpc/frame-reader.js'
import { Outbox } from '../../src/rpc/outbox.js'
import { Reassembly } from '../../src/rpc/reassembly.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('reply' as const), length: fc.integer({ min: 0, max: 300_000 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('item' as const),
      id: fc.integer({ min: 1, max: 3 }),
      length: fc.integer({ min: 0, max: 200_000 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('flush' as const), backlogged: fc.boolean() }) },
)

const PATTERN = Uint8Array.from({ length: 400_000 }, (_, i) => (i * 7 + (i >> 8) * 13) & 0xff)

/** Bytes that tell where they belong. */
function pattern(offset: number, length: number): Uint8Array {
  return PATTERN.subarray(offset * 101, offset * 101 + length)
}

/** Fast to compare. */
function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

it(`whatever is sent, cut, mixed and split arrives whole, each stream in order (SEED=${seed})`, () => {
  let cutCount = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 24 }), fc.integer({ min: 700, max: 90_000 }), (steps, chunk) => {
      const outbox = new Outbox()
      outbox.cutsPieces = true
      const sent = new Map<string, string[]>()
      const came = new Map<string, string[]>()
      const put = (to: Map<string, string[]>, key: string, bytes: Uint8Array): void => {
        to.set(key, [...(to.get(key) ?? []), text(bytes)])
      }
      const budget = new ByteBudget(1e9)
      const reassembly = new Reassembly({ frameBytesMax: 1e9, budget })
      const reader = new FrameReader(
        {
          handleFrame(kind, id, body) {
            if (kind >= MORE_FLAG) cutCount++
            const whole = reassembly.handle(kind, id, body, () => true)
            if (typeof whole === 'string') throw new Error(whole)
            if (whole !== undefined) {
              put(came, `${kind} ${id}`, whole.bytes.subarray(whole.start, whole.end))
            }
            return true
          },
        },
        1e9,
      )
      const flush = (): boolean => {
        outbox.fillSlab()
        const bytes = outbox.take(true)
        // One buffer for all chunks, as a socket has it.
        const buffer = Buffer.alloc(chunk)
        for (let at = 0; at < bytes.length; at += chunk) {
          const length = Math.min(chunk, bytes.length - at)
          buffer.set(bytes.subarray(at, at + length))
          expect(reader.push(buffer, length)).toBeUndefined()
        }
        return bytes.length > 0
      }
      let nextId = 100
      steps.forEach((each, index) => {
        if (each.kind === 'flush') {
          flush()
          outbox.holdsItems = each.backlogged
        } else if (each.kind === 'reply') {
          const body = pattern(index, each.length)
          const id = nextId++
          put(sent, `${FrameKind.reply} ${id}`, body)
          outbox.closeWith(outbox.openFrame(FrameKind.reply, id, body.length), body)
        } else {
          const body = pattern(index, each.length)
          put(sent, `${FrameKind.streamItem} ${each.id}`, body)
          outbox.streamFrame(FrameKind.streamItem, each.id, body)
        }
      })
      while (flush());
      expect([...came.keys()].sort()).toEqual([...sent.keys()].sort())
      for (const [key, bodies] of sent) {
        expect(came.get(key)?.length).toBe(bodies.length)
        expect(
          came.get(key)?.every((body, i) => body === bodies[i]),
          key,
        ).toBe(true)
      }
      reassembly.sweep(0)
      reassembly.sweep(10_000)
      expect([outbox.hasBulk, outbox.bulkBytes, budget.taken, reassembly.size]).toEqual([false, 0, 0, 0])
    }),
    { numRuns: 60, seed },
  )
  expect(cutCount).toBeGreaterThan(100)
})
