import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Random, randomInt, seededRandom } from '../../src/random.js'
import { ByteWriter } from '../../src/rpc/byte-writer.js'
import { CallSession } from '../../src/rpc/call-session.js'
import { Counters } from '../../src/rpc/counters.js'
import { encodeErrorHead, encodeRequestHead, NO_HEADERS } from '../../src/rpc/envelope.js'
import { FRAME_BYTES_MAX, FrameKind } from '../../src/rpc/frame.js'
import { encodeHello, encodeWelcome } from '../../src/rpc/hello.js'
import { Outbox } from '../../src/rpc/outbox.js'
import { MsgpackCodec, PayloadError } from '../../src/rpc/payload-codec.js'
import { ServeSession } from '../../src/rpc/serve-session.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const codec = new MsgpackCodec()

const leaf = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  fc.boolean(),
  fc.constantFrom(null, undefined, -0, '', 2n ** 100n, '\ufeffx', '\ud800'),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array({ maxLength: 20 }),
  fc.float64Array({ maxLength: 4 }),
  fc.bigInt64Array({ maxLength: 4 }),
)
const key = fc.string({ maxLength: 12 }).filter((text) => text !== '__proto__')
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(key, tie('value'), { maxKeys: 6, noNullPrototype: true }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((entries) => new Map(entries)),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => new Set(items)),
  ),
}))

describe('any value', () => {
  it('arrives as it was sent', () => {
    fc.assert(
      fc.property(value, (sent) => {
        expect(codec.decode(Uint8Array.from(codec.encode(sent, 'args')))).toStrictEqual(sent)
      }),
      { numRuns: 1_500, seed },
    )
  })
})

describe('hostile bytes', () => {
  // Half of the inputs end in an error: capturing their stacks would take most of the time.
  const limit = Error.stackTraceLimit
  beforeAll(() => {
    Error.stackTraceLimit = 0
  })
  afterAll(() => {
    Error.stackTraceLimit = limit
  })

  it(`300,000 inputs to the codec end in a value or a refusal (SEED=${seed})`, () => {
    const random = seededRandom(seed)
    const good = samples(random)
    const tally = { read: 0, refused: 0 }
    for (let i = 0; i < 300_000; i++) {
      const bytes = mutated(good[randomInt(random, good.length)] ?? new Uint8Array(0), random)
      try {
        codec.decode(bytes)
        tally.read++
      } catch (error) {
        if (!(error instanceof PayloadError)) throw error
        tally.refused++
      }
    }
    expect(tally.read).toBeGreaterThan(10_000)
    expect(tally.refused).toBeGreaterThan(10_000)
  })

  it(`60,000 streams to a callee end in a served call or a counted reason (SEED=${seed})`, () => {
    const random = seededRandom(seed + 1)
    const counters = new Counters()
    let served = 0
    for (let i = 0; i < 60_000; i++) {
      const session = callee(counters, () => served++)
      feed(callerStream(random), random, (chunk) => session.handleBytes(chunk, chunk.length, 0))
    }
    const reasons = counters.snapshot()
    expect(served).toBeGreaterThan(1_000)
    for (const reason of ['no-hello', 'bad-hello', 'wrong-node', 'bad-request', 'unexpected-frame', 'frame-too-large'])
      expect(reasons[reason], reason).toBeGreaterThan(20)
  })

  it(`60,000 streams to a caller never throw (SEED=${seed})`, () => {
    const random = seededRandom(seed + 2)
    const counters = new Counters()
    let ready = 0
    for (let i = 0; i < 60_000; i++) {
      const session = caller(counters)
      feed(calleeStream(random), random, (chunk) => session.handleBytes(chunk, chunk.length))
      if (session.state === 'ready' || session.state === 'leaving') ready++
    }
    const reasons = counters.snapshot()
    expect(ready).toBeGreaterThan(1_000)
    for (const reason of ['bad-welcome', 'unexpected-frame', 'late-reply', 'frame-too-large'])
      expect(reasons[reason], reason).toBeGreaterThan(20)
  })
})

/** Valid payloads of every type, to be damaged. */
function samples(random: Random): Uint8Array[] {
  const values = fc.sample(value, { numRuns: 400, seed: randomInt(random, 2 ** 30) })
  values.push([new Error('x', { cause: new Error('y') }), { deep: [[[[[[1]]]]]] }, new DataView(new ArrayBuffer(3))])
  const payloads = values.map((each) => Uint8Array.from(codec.encode(each, 'args')))
  return payloads.filter(({ length }) => length <= 300)
}

function mutated(bytes: Uint8Array, random: Random): Uint8Array {
  switch (randomInt(random, 6)) {
    case 0:
      return bytes.slice(0, randomInt(random, bytes.length + 1))
    case 1:
      return Uint8Array.from({ length: randomInt(random, 40) }, () => randomInt(random, 256))
    case 2: {
      // Nested containers with sizes that lie.
      const lie = Array.from({ length: 1 + randomInt(random, 90) }, () => 0x80 + randomInt(random, 32))
      return Uint8Array.from([...lie, ...bytes])
    }
    default: {
      const copy = Uint8Array.from(bytes)
      for (let flips = randomInt(random, 4); flips >= 0 && copy.length > 0; flips--) {
        const at = randomInt(random, copy.length)
        copy[at] = random() < 0.5 ? randomInt(random, 256) : (copy[at] ?? 0) ^ (1 << randomInt(random, 8))
      }
      return copy
    }
  }
}

function body(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(64)
  write(writer)
  return writer.bytes.slice(0, writer.length)
}

const identity = { cluster: 'c', node: 'n1', bootId: 'b1' }
const helloBody = body((writer) =>
  encodeHello(writer, {
    ...identity,
    protocolMin: 1,
    protocolMax: 1,
    features: 0,
    frameBytesMax: FRAME_BYTES_MAX,
    codec: 'msgpack',
    expectedNode: 'n2',
    expectedBootId: 'b2',
  }),
)
const requestBody = body((writer) => {
  const names = { service: 's', method: 'm' }
  encodeRequestHead(writer, { cast: false, ttlMs: 9, methodId: 0, names, headers: NO_HEADERS })
  writer.raw(codec.encode([1, { a: 2 }], 'args'))
})
const welcomeBody = body((writer) =>
  encodeWelcome(writer, { protocol: 1, features: 0, frameBytesMax: FRAME_BYTES_MAX, node: 'n2', bootId: 'b2' }),
)
const errorBody = body((writer) => encodeErrorHead(writer, { code: 'REMOTE', executed: 'yes', message: 'x' }))

/** Frames in a plausible order, each damaged now and then, in its body or its length. */
function damagedFrames(parts: readonly (readonly [kind: number, body: Uint8Array])[], random: Random): Uint8Array {
  const outbox = new Outbox()
  for (const [kind, bytes] of parts) {
    const isDamaged = random() < 0.25
    const mark = outbox.openFrame(
      random() < 0.05 ? randomInt(random, 256) : kind,
      1 + randomInt(random, 3),
      bytes.length,
    )
    outbox.writer.raw(isDamaged ? mutated(bytes, random) : bytes)
    outbox.closeFrame(mark)
    if (random() < 0.03) outbox.writer.setU32(mark, randomInt(random, 2 ** 32))
  }
  return outbox.take(true)
}

function callerStream(random: Random): Uint8Array {
  const rest = [
    [FrameKind.request, requestBody],
    [FrameKind.cancel, new Uint8Array(0)],
    [FrameKind.ping, new Uint8Array(0)],
    [FrameKind.request, requestBody],
  ] as const
  return damagedFrames([[FrameKind.hello, helloBody], ...rest.slice(randomInt(random, 4))], random)
}

function calleeStream(random: Random): Uint8Array {
  const rest = [
    [FrameKind.reply, codec.encode(1, 'result').slice()],
    [FrameKind.error, errorBody],
    [FrameKind.goingAway, Uint8Array.of(1, 0, 0, 0)],
    [FrameKind.pong, new Uint8Array(0)],
  ] as const
  return damagedFrames([[FrameKind.welcome, welcomeBody], ...rest.slice(randomInt(random, 4))], random)
}

/** The stream in chunks of random size. */
function feed(stream: Uint8Array, random: Random, take: (chunk: Uint8Array) => void): void {
  let at = 0
  while (at < stream.length) {
    const end = at + 1 + randomInt(random, 60)
    take(stream.subarray(at, end))
    at = end
  }
}

function callee(counters: Counters, onCall: () => void): ServeSession {
  return new ServeSession({
    outbox: new Outbox(),
    codec,
    counters,
    identity: { cluster: 'c', node: 'n2', bootId: 'b2' },
    dispatcher: {
      dispatch(call, settle) {
        onCall()
        if (call.args.length % 2 === 0) settle({ ok: true, value: call.args })
        return () => {}
      },
    },
    frameBytesMax: 65_536,
    callsMax: 2,
    callerAddress: '',
    onWritten: () => {},
  })
}

function caller(counters: Counters): CallSession {
  return new CallSession({
    outbox: new Outbox(),
    codec,
    counters,
    identity,
    target: { node: 'n2', bootId: 'b2' },
    frameBytesMax: 65_536,
    callsMax: 10,
    onAnswer: () => {},
  })
}
