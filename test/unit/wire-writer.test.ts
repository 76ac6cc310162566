import { expect, test } from 'vitest'
import { MsgpackWriter } from '../../src/membership/wire/msgpack-writer.js'

test('a message is never written again, however long it and those after it are', () => {
  const writer = new MsgpackWriter()
  const written: { message: Uint8Array; byte: number; length: number }[] = []
  const lengths = [10, 600, 7_000, 9_000, 100, 200_000, 50, 30_000, 3_000_000, 9_000, 20]
  for (let round = 1; round <= 3; round++) {
    for (const [index, length] of lengths.entries()) {
      const byte = round * 16 + index
      writer.begin()
      for (let left = length; left > 0; left -= 500) writer.raw(new Uint8Array(Math.min(500, left)).fill(byte))
      written.push({ message: writer.finish(), byte, length })
    }
    // Given up in the middle.
    writer.begin()
    writer.raw(new Uint8Array(20_000).fill(255))
  }
  for (const { message, byte, length } of written) {
    expect(message).toHaveLength(length)
    expect(message.every((each) => each === byte)).toBe(true)
  }
})

test('a long message takes no more memory than it has bytes', () => {
  const writer = new MsgpackWriter()
  for (let i = 0; i < 2; i++) {
    writer.begin()
    writer.raw(new Uint8Array(100_000))
    expect(writer.finish().buffer.byteLength).toBe(100_000)
  }
})
