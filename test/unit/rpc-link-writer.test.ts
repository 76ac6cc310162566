import { expect, it } from 'vitest'
import { Flusher } from '../../src/rpc/flusher.js'
import { FrameKind } from '../../src/rpc/frame.js'
import type { Link } from '../../src/rpc/link.js'
import { LinkWriter } from '../../src/rpc/link-writer.js'
import { Outbox } from '../../src/rpc/outbox.js'
import { Slabs } from '../../src/rpc/slabs.js'

/** Takes each write a little later, and never says so: the writes are too small to ask for a drain. */
function slowLink() {
  const written: Uint8Array[] = []
  let unsent = 0
  const link: Link = {
    write: (bytes) => {
      written.push(bytes)
      unsent += bytes.length
    },
    unsentBytes: () => unsent,
    needsDrain: () => false,
    sentBytes: () => 0,
    receivedBytes: () => 0,
    remoteAddress: () => '127.0.0.1:1',
    pauseReading: () => {},
    resumeReading: () => {},
    end: () => {},
    destroy: () => {},
  }
  const taken = (): void => {
    unsent = 0
  }
  return { link, written, taken }
}

it('a link that takes its time over small writes gives each slab back before the next', () => {
  const slabs = new Slabs()
  const outbox = new Outbox({}, slabs)
  const { link, written, taken } = slowLink()
  const options = { outbox, link, flusher: new Flusher(), isOver: () => false, onFlushed: () => {} }
  const writer = new LinkWriter(options, 0)
  for (let i = 0; i < 6; i++) {
    outbox.bareFrame(FrameKind.ping, i)
    writer.flush()
    taken()
  }
  expect(new Set(written.map(({ buffer }) => buffer)).size).toBe(2) // while one leaves the other is written
  writer.isStalled(1, 1_000)
  // A silent one holds none.
  expect(new Set([slabs.take().buffer, slabs.take().buffer])).toEqual(new Set(written.map(({ buffer }) => buffer)))
})

it('a slab that the link still holds is not written again', () => {
  const outbox = new Outbox({}, new Slabs())
  const { link, written, taken } = slowLink()
  const options = { outbox, link, flusher: new Flusher(), isOver: () => false, onFlushed: () => {} }
  const writer = new LinkWriter(options, 0)
  for (let i = 0; i < 3; i++) {
    outbox.bareFrame(FrameKind.ping, i)
    writer.flush()
  }
  writer.isStalled(1, 1_000)
  expect(written.map((bytes) => bytes[5])).toEqual([0, 1, 2])
  taken()
  expect(new Set(written.map(({ buffer }) => buffer)).size).toBe(3)
})
