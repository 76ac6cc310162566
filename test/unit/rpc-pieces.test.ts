import { describe, expect, it } from 'vitest'
import { BulkQueue, OPEN_MESSAGES_MAX, PIECE_BYTES, WHOLE_BYTES_MAX } from '../../src/rpc/bulk-queue.js'
import { ByteBudget } from '../../src/rpc/byte-budget.js'
import { FrameKind, MORE_FLAG } from '../../src/rpc/frame.js'
import { FrameReader } from '../../src/rpc/frame-reader.js'
import { Outbox } from '../../src/rpc/outbox.js'
import { PlainCodec } from '../../src/rpc/plain-codec.js'
import { PARTIAL_MESSAGES_MAX, PIECE_BYTES_MIN, Reassembly } from '../../src/rpc/reassembly.js'

const span = (bytes: Uint8Array) => ({ bytes, start: 0, end: bytes.length })
const filled = (length: number, value = 1): Uint8Array => new Uint8Array(length).fill(value)

/** An outbox whose peer reads pieces, and the frames that leave it at each flush. */
function sender() {
  const outbox = new Outbox()
  outbox.cutsPieces = true
  const flush = (): string[] => {
    outbox.fillSlab()
    const frames: string[] = []
    const reader = new FrameReader(
      {
        handleFrame(kind, id, body) {
          frames.push(`${kind & ~MORE_FLAG}${kind >= MORE_FLAG ? '+' : ''} ${id} ${body.end - body.start}`)
          return true
        },
      },
      1e9,
    )
    const bytes = outbox.take(true)
    reader.push(bytes, bytes.length)
    return frames
  }
  const send = (id: number, length: number) =>
    outbox.closeWith(outbox.openFrame(FrameKind.reply, id, length), filled(length))
  return { outbox, flush, send }
}

describe('a message that is too long for one frame', () => {
  it('leaves in pieces, one a flush, and small frames of later calls leave before its next one', () => {
    const { flush, send } = sender()
    const long = send(1, 2.5 * PIECE_BYTES)
    send(2, 10)
    expect(flush()).toEqual(['4 2 10', `4+ 1 ${PIECE_BYTES}`])
    send(3, 20)
    expect(flush()).toEqual(['4 3 20', `4+ 1 ${PIECE_BYTES}`])
    expect(long?.isSent).toBe(false)
    expect(flush()).toEqual([`4 1 ${PIECE_BYTES / 2}`])
    expect(long?.isSent).toBe(true)
    expect(flush()).toEqual([])
  })

  it('takes no new memory for its first piece once one has left', () => {
    const { flush, send } = sender()
    const first = send(1, 3 * PIECE_BYTES)?.pieces[0]?.buffer
    while (flush().length > 0);
    expect(first).toBeDefined()
    expect(send(2, 3 * PIECE_BYTES)?.pieces.map(({ buffer }) => buffer)).toContain(first)
  })

  it('takes turns with the others, at most four of which are under way', () => {
    const { flush, send } = sender()
    for (let id = 1; id <= OPEN_MESSAGES_MAX + 1; id++) send(id, 3 * PIECE_BYTES)
    const order: string[] = []
    for (let frames = flush(); frames.length > 0; frames = flush()) order.push(...frames)
    expect(order.slice(0, 8).map((frame) => frame.split(' ')[1])).toEqual(['1', '2', '3', '4', '1', '2', '3', '4'])
    const begins = order.findIndex((frame) => frame.startsWith('4+ 5'))
    expect(begins).toBeGreaterThan(order.findIndex((frame) => frame.startsWith('4 ')))
    expect(order.length).toBe(15)
  })

  it('begins above 128 KiB: up to there it leaves whole, at once', () => {
    const { flush, send } = sender()
    expect(send(1, WHOLE_BYTES_MAX)).toBeUndefined()
    expect(flush()).toEqual([`4 1 ${WHOLE_BYTES_MAX}`])
    expect(send(2, WHOLE_BYTES_MAX + 1)).toBeDefined()
  })

  it('leaves whole to a peer that does not read pieces', () => {
    const { outbox, flush, send } = sender()
    outbox.cutsPieces = false
    expect(send(1, 3 * PIECE_BYTES)).toBeUndefined()
    expect(flush()).toEqual([`4 1 ${3 * PIECE_BYTES}`])
  })

  it('is taken back, and whoever takes it knows whether the peer has a part of it', () => {
    const { outbox, flush, send } = sender()
    send(1, 3 * PIECE_BYTES)
    send(2, 3 * PIECE_BYTES)
    flush()
    expect([outbox.dropBulk(1), outbox.dropBulk(2), outbox.dropBulk(3)]).toEqual([true, false, false])
    expect([outbox.hasBulk, outbox.bulkBytes, flush()]).toEqual([false, 0, []])
  })
})

describe('a slab that the socket kept', () => {
  it('is not written to until everything was taken, and then used again', () => {
    const { outbox, send } = sender()
    send(1, 60_000)
    const first = outbox.take(false)
    outbox.slabReturned(false)
    send(2, 60_000)
    const second = outbox.take(false)
    expect(second.buffer).not.toBe(first.buffer)
    outbox.slabReturned(true)
    outbox.drained()
    send(3, 60_000)
    expect(outbox.take(false).buffer).toBe(first.buffer)
    outbox.slabReturned(false)
    send(4, 60_000)
    expect(outbox.take(false).buffer).toBe(second.buffer)
  })
})

describe('a long payload that its codec gives away', () => {
  it('waits where it was encoded, whatever is encoded meanwhile; the memory is used again once it has left', () => {
    const codec = new PlainCodec()
    const outbox = new Outbox(codec)
    outbox.cutsPieces = true
    const encode = (fill: number) => codec.encode(filled(3 * PIECE_BYTES, fill), 'result')
    const write = (id: number, payload: Uint8Array) =>
      outbox.closeWith(outbox.openFrame(FrameKind.reply, id, payload.length), payload)
    const one = encode(1)
    write(1, one)
    const two = encode(2)
    write(2, two)
    expect(two.buffer).not.toBe(one.buffer)

    const bodies = new Map<number, Buffer>()
    while (outbox.hasBulk) {
      outbox.fillSlab()
      const bytes = outbox.take(true)
      const reader = new FrameReader(
        {
          handleFrame(_kind, id, { bytes: from, start, end }) {
            bodies.set(id, Buffer.concat([bodies.get(id) ?? Buffer.alloc(0), from.subarray(start, end)]))
            return true
          },
        },
        1e9,
      )
      reader.push(bytes, bytes.length)
    }
    for (const id of [1, 2]) expect(codec.decode(bodies.get(id) as Buffer)).toEqual(filled(3 * PIECE_BYTES, id))
    expect([one.buffer, two.buffer]).toContain(encode(3).buffer)
  })
})

describe('items of streams', () => {
  it('go straight out while the socket takes them, and in order of their call when it does not', () => {
    const { outbox, flush } = sender()
    const item = (id: number, length: number) => outbox.streamFrame(FrameKind.streamItem, id, filled(length))
    item(1, 10)
    outbox.holdsItems = true
    item(1, 20)
    outbox.holdsItems = false
    item(1, 30)
    item(2, 40)
    expect(flush()).toEqual(['7 1 10', '7 2 40', '7 1 20', '7 1 30'])
  })

  it('of one stream do not keep another from its turn', () => {
    const { outbox, flush } = sender()
    outbox.holdsItems = true
    for (let i = 0; i < 40; i++) outbox.streamFrame(FrameKind.streamItem, 1, filled(PIECE_BYTES / 4))
    outbox.streamFrame(FrameKind.streamItem, 2, filled(100))
    const first = flush()
    const second = flush()
    expect(first).toEqual(Array.from({ length: 4 }, () => `7 1 ${PIECE_BYTES / 4}`))
    expect(second[0]).toBe('7 2 100')
  })

  it('are not asked for while a quarter of a megabyte waits', () => {
    const { outbox, flush } = sender()
    let told = 0
    outbox.holdsItems = true
    while (outbox.hasItemRoom()) outbox.streamFrame(FrameKind.streamItem, 1, filled(PIECE_BYTES))
    expect(outbox.bulkBytes).toBe(4 * PIECE_BYTES)
    outbox.whenItemRoom(() => told++)
    outbox.tellItemRoom()
    expect(told).toBe(0)
    flush()
    outbox.tellItemRoom()
    expect(told).toBe(1)
  })
})

describe('a queue of long messages', () => {
  it('counts what waits, whatever is taken and dropped', () => {
    const queue = new BulkQueue()
    const piece = filled(PIECE_BYTES)
    queue.push(4, 1, [piece, piece, filled(5)])
    queue.push(7, 1, [filled(7)])
    queue.push(4, 2, [piece])
    expect(queue.bytes).toBe(3 * PIECE_BYTES + 12)
    let turns = 2
    queue.take(
      () => turns-- > 0,
      () => {},
    )
    expect(queue.bytes).toBe(PIECE_BYTES + 12)
    queue.drop(1)
    expect([queue.bytes, queue.isEmpty]).toEqual([0, true])
  })
})

describe('a queue to a peer that reads no pieces', () => {
  it('lets a message go that is longer than a piece: it cannot be cut', () => {
    const queue = new BulkQueue()
    queue.push(7, 1, [filled(3 * PIECE_BYTES)])
    queue.push(7, 2, [filled(10)])
    const written: number[] = []
    let asked = 0
    const hasRoom = (): boolean => {
      if (++asked > 100) throw new Error('it asks for ever')
      return true
    }
    queue.take(hasRoom, (_message, piece) => written.push(piece.length))
    expect([written, queue.isEmpty, queue.bytes]).toEqual([[3 * PIECE_BYTES, 10], true, 0])
  })
})

describe('pieces that come', () => {
  const reassembly = (frameBytesMax = 1_000_000, bytesMax = 10_000_000) => {
    const budget = new ByteBudget(bytesMax)
    const parts = new Reassembly({ frameBytesMax, budget })
    const add = (id: number, bytes: Uint8Array, kind = FrameKind.request as number) =>
      parts.handle(kind | MORE_FLAG, id, span(bytes), () => true)
    const finish = (id: number, bytes: Uint8Array, kind = FrameKind.request as number) =>
      parts.handle(kind, id, span(bytes), () => true)
    return { parts, budget, add, finish }
  }

  it('make up their message again, kinds and ids apart', () => {
    const { parts, budget, add, finish } = reassembly()
    add(1, filled(2_000, 1))
    add(1, filled(2_000, 2), FrameKind.streamItem)
    add(2, filled(2_000, 3))
    add(1, filled(1_500, 4))
    // Each buffer has room for four pieces like its first.
    expect(budget.taken).toBe(3 * 8_000)
    const whole = finish(1, filled(1, 5))
    if (typeof whole !== 'object') throw new Error(String(whole))
    const bytes = whole.bytes.subarray(whole.start, whole.end)
    expect([bytes.length, bytes[0], bytes[2_000], bytes[3_500]]).toEqual([3_501, 1, 4, 5])
    // The buffer of the whole one is kept for the next.
    expect(budget.taken).toBe(3 * 8_000)
    parts.sweep(0)
    parts.sweep(10_000)
    expect(budget.taken).toBe(2 * 8_000)
  })

  it('are no part of a frame that stands alone', () => {
    const { add, finish } = reassembly()
    add(1, filled(2_000))
    const body = filled(3)
    expect(finish(2, body)).toEqual(span(body))
  })

  it.each([
    ['smaller than they may be', 'piece-too-small', 1, PIECE_BYTES_MIN - 1],
    ['more than a message may have', 'message-too-large', 100, 20_000],
    ['more than may be held', 'too-many-bytes-held', 300, 200_000],
  ])('%s end the connection: %s', (_why, fault, count, length) => {
    const { add } = reassembly(fault === 'message-too-large' ? 100_000 : 1e9, 1_000_000)
    const results = Array.from({ length: count }, () => add(1, filled(length)))
    expect(results.find((result) => result !== undefined)).toBe(fault)
  })

  it('of too many messages at once end the connection', () => {
    const { add } = reassembly()
    const results = Array.from({ length: PARTIAL_MESSAGES_MAX + 1 }, (_, id) => add(id + 1, filled(2_000)))
    expect(results.filter((result) => result !== undefined)).toEqual(['too-many-messages'])
    expect(PARTIAL_MESSAGES_MAX).toBeGreaterThanOrEqual(4 * OPEN_MESSAGES_MAX)
  })

  it('are bounded for the whole node, and given back with their connection', () => {
    const node = new ByteBudget(20_000)
    const one = new Reassembly({ frameBytesMax: 1e6, budget: new ByteBudget(1e6, node) })
    const other = new Reassembly({ frameBytesMax: 1e6, budget: new ByteBudget(1e6, node) })
    const add = (to: Reassembly) => to.handle(FrameKind.reply | MORE_FLAG, 1, span(filled(3_000)), () => true)
    expect([add(one), add(other)]).toEqual([undefined, 'too-many-bytes-held'])
    one.clear()
    expect([node.taken, add(other)]).toEqual([0, undefined])
    other.drop(1)
    expect([node.taken, other.size]).toEqual([0, 0])
  })
})
