import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../src/bytes.js'
import { FRAME_BYTES_MAX, FrameKind, HELLO_BYTES_MAX } from '../../src/rpc/frame.js'
import { FrameReader } from '../../src/rpc/frame-reader.js'
import { Outbox } from '../../src/rpc/outbox.js'
import { Slabs } from '../../src/rpc/slabs.js'

interface Seen {
  readonly kind: number
  readonly id: number
  readonly body: readonly number[]
}

function collector(frameBytesMax = FRAME_BYTES_MAX, goOn: (seen: Seen) => boolean = () => true) {
  const frames: Seen[] = []
  const reader = new FrameReader(
    {
      handleFrame(kind, id, { bytes, start, end }) {
        frames.push({ kind, id, body: [...bytes.subarray(start, end)] })
        return goOn(frames.at(-1)!)
      },
    },
    frameBytesMax,
  )
  return { frames, reader }
}

function frame(kind: number, id: number, body: readonly number[]): Uint8Array {
  const outbox = new Outbox()
  const mark = outbox.openFrame(kind, id, body.length)
  outbox.writer.raw(Uint8Array.from(body))
  outbox.closeFrame(mark)
  return outbox.take(true)
}

const three = [frame(1, 7, [1, 2, 3]), frame(4, 0xffff_fffe, []), frame(3, 1, Array(40).fill(9))]
const stream = concatBytes(three)
const expected: Seen[] = [
  { kind: 1, id: 7, body: [1, 2, 3] },
  { kind: 4, id: 0xffff_fffe, body: [] },
  { kind: 3, id: 1, body: Array(40).fill(9) },
]

describe('the frame reader', () => {
  it('writes length, kind and call id little-endian', () => {
    expect([...frame(FrameKind.cancel, 0x01020304, [0xaa])]).toEqual([6, 0, 0, 0, 6, 4, 3, 2, 1, 0xaa])
  })

  it('reads the same frames whatever two points the stream is split at', () => {
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second++) {
        const { frames, reader } = collector()
        for (const part of [stream.slice(0, first), stream.slice(first, second), stream.slice(second)])
          expect(reader.push(part, part.length)).toBeUndefined()
        expect(frames).toEqual(expected)
        expect(reader.bufferedBytes()).toBe(0)
      }
    }
  })

  it('reads the same frames byte by byte, from one buffer that is used again for each', () => {
    const { frames, reader } = collector()
    const chunk = new Uint8Array(8)
    for (const byte of stream) {
      chunk[0] = byte
      reader.push(chunk, 1)
    }
    expect(frames).toEqual(expected)
  })

  it('delivers nothing of a frame before its last byte', () => {
    const whole = frame(3, 5, [1, 2, 3, 4])
    for (let length = 0; length < whole.length; length++) {
      const { frames, reader } = collector()
      reader.push(whole, length)
      expect(frames).toEqual([])
      expect(reader.bufferedBytes()).toBe(length)
    }
  })

  it('carries a frame of several megabytes in small chunks', () => {
    const body = new Uint8Array(3_000_001).map((_, i) => i % 251)
    const outbox = new Outbox()
    const mark = outbox.openFrame(4, 9, body.length)
    outbox.writer.raw(body)
    outbox.closeFrame(mark)
    const bytes = outbox.take(false)
    let ok = false
    const reader = new FrameReader(
      {
        handleFrame(kind, id, span) {
          const got = span.bytes.subarray(span.start, span.end)
          ok = kind === 4 && id === 9 && got.length === body.length && got.every((byte, i) => byte === i % 251)
          return true
        },
      },
      FRAME_BYTES_MAX,
    )
    for (let at = 0; at < bytes.length; at += 65_521) {
      const part = bytes.subarray(at, at + 65_521)
      reader.push(part, part.length)
    }
    expect(ok).toBe(true)
  })

  it('refuses a length over the cap at the fourth byte, and one below a head', () => {
    for (const [announced, fault] of [
      [HELLO_BYTES_MAX + 1, 'frame-too-large'],
      [0xffff_ffff, 'frame-too-large'],
      [4, 'frame-too-short'],
      [0, 'frame-too-short'],
    ] as const) {
      const head = Uint8Array.of(announced & 255, (announced >>> 8) & 255, (announced >>> 16) & 255, announced >>> 24)
      for (const cut of [0, 1, 2, 3]) {
        const { reader } = collector(HELLO_BYTES_MAX)
        expect(reader.push(head.subarray(0, cut), cut)).toBeUndefined()
        expect(reader.push(head.subarray(cut), 4 - cut)).toBe(fault)
        expect(reader.bufferedBytes()).toBe(0)
      }
    }
  })

  it('keeps no memory for what is announced and has not come', () => {
    const head = Uint8Array.of(0, 0, 0, 1, 3, 1, 0, 0, 0)
    const before = process.memoryUsage().arrayBuffers
    const readers = Array.from({ length: 64 }, () => collector().reader)
    for (const reader of readers) expect(reader.push(head, head.length)).toBeUndefined()
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 400_000)
    expect(readers.every((reader) => reader.bufferedBytes() === head.length)).toBe(true)
  })

  it('takes a new cap from the frame after the one that set it', () => {
    const frames: number[] = []
    const reader: FrameReader = new FrameReader(
      {
        handleFrame(kind) {
          frames.push(kind)
          reader.setFrameBytesMax(100)
          return true
        },
      },
      8,
    )
    const bytes = concatBytes([frame(1, 0, [1]), frame(3, 1, Array(90).fill(0)), frame(3, 2, Array(96).fill(0))])
    expect(reader.push(bytes, bytes.length)).toBe('frame-too-large')
    expect(frames).toEqual([1, 3])
  })

  it('ignores everything after the sink has stopped it', () => {
    const { frames, reader } = collector(FRAME_BYTES_MAX, () => false)
    expect(reader.push(stream, stream.length)).toBeUndefined()
    expect(reader.push(stream, stream.length)).toBeUndefined()
    expect(frames).toEqual([expected[0]])
    expect(reader.bufferedBytes()).toBe(0)
  })
})

describe('the outbox', () => {
  it('gives its slab away when the socket keeps it, and uses it again otherwise', () => {
    const outbox = new Outbox()
    outbox.bareFrame(FrameKind.ping, 1)
    const first = outbox.take(false)
    outbox.slabReturned(true)
    outbox.bareFrame(FrameKind.ping, 2)
    const second = outbox.take(false)
    expect(second.buffer).toBe(first.buffer)
    outbox.slabReturned(false)
    outbox.bareFrame(FrameKind.ping, 3)
    expect(outbox.take(false).buffer).not.toBe(first.buffer)
    expect([...second]).toEqual([5, 0, 0, 0, 10, 2, 0, 0, 0])
    expect(outbox.epoch).toBe(3)
  })

  it('has a slab while something is written, and leaves it to the others of its node', () => {
    const slabs = new Slabs()
    const [one, other] = [new Outbox({}, slabs), new Outbox({}, slabs)]
    expect(one.writer.bytes.length).toBe(0)
    one.bareFrame(FrameKind.ping, 1)
    const kept = one.take(false)
    one.slabReturned(false)
    other.bareFrame(FrameKind.ping, 2)
    expect(other.writer.bytes.buffer).not.toBe(kept.buffer)
    other.take(false)
    other.slabReturned(true)
    expect(other.writer.bytes.length).toBe(0)
    // What the socket kept is free again when it has drained, or is gone.
    one.drained()
    other.bareFrame(FrameKind.ping, 3)
    expect(other.writer.bytes.buffer).toBe(kept.buffer)
    other.close()
    one.bareFrame(FrameKind.ping, 4)
    expect(one.writer.bytes.buffer).toBe(kept.buffer)
  })

  it('keeps no slab that grew too much, nor more of them than is worth it', () => {
    const slabs = new Slabs()
    slabs.give(new Uint8Array(300_000))
    expect(slabs.take().length).toBe(4_096)
    for (let i = 0; i < 100; i++) slabs.give(new Uint8Array(200_000))
    const taken = Array.from({ length: 100 }, () => slabs.take().length)
    expect(taken.filter((length) => length > 4_096)).toHaveLength(20)
  })

  it('does not pin a whole slab with a few bytes that have to wait', () => {
    const outbox = new Outbox()
    outbox.bareFrame(FrameKind.ping, 1)
    expect(outbox.take(true).buffer.byteLength).toBe(9)
  })
})
