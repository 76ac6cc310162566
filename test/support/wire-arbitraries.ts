/** Messages that obey the rules of the wire, for property tests. */
import fc from 'fast-check'
import { utf8Encode } from '../../src/bytes.js'
import type { PacketMessage, PushPull, WireState } from '../../src/membership/wire/messages.js'

const u32 = fc.oneof(fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536, 0xffff_ffff), fc.nat(0xffff_ffff))
const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 80 }).filter((text) => utf8Encode(text).length <= 255)
const addr = fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
const port = fc.integer({ min: 1, max: 65_535 })
const bytes = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 250, maxLength: 300 }))
const vsn = fc
  .tuple(
    fc.integer({ min: 1, max: 255 }),
    fc.integer({ min: 1, max: 255 }),
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
  )
  .map(([a, b, rest]) => Uint8Array.of(Math.min(a, b), Math.max(a, b), ...rest))
const source = fc.option(fc.record({ addr, port, node: fc.oneof(name, fc.constant('')) }), { nil: undefined })

export const packetMessage: fc.Arbitrary<PacketMessage> = fc.oneof(
  fc.record({ type: fc.constant('ping' as const), seqNo: u32, node: fc.oneof(name, fc.constant('')), source }),
  fc.record({
    type: fc.constant('indirectPing' as const),
    seqNo: u32,
    target: addr,
    port,
    node: name,
    nack: fc.boolean(),
    source,
  }),
  fc.record({ type: fc.constant('ack' as const), seqNo: u32, payload: bytes }),
  fc.record({ type: fc.constant('nack' as const), seqNo: u32 }),
  fc.record({ type: fc.constantFrom('suspect' as const, 'dead' as const), incarnation: u32, node: name, from: name }),
  fc.record({ type: fc.constant('alive' as const), incarnation: u32, node: name, addr, port, meta: bytes, vsn }),
  fc.record({ type: fc.constant('user' as const), payload: bytes }),
)

const nodeState = fc.record({
  name,
  addr,
  port,
  meta: bytes,
  incarnation: u32,
  state: fc.constantFrom<WireState>(0, 1, 2, 3),
  vsn,
})

export const pushPull: fc.Arbitrary<PushPull> = fc.record({
  type: fc.constant('pushPull' as const),
  join: fc.boolean(),
  nodes: fc.array(nodeState, { maxLength: 6 }),
  userState: bytes,
})
