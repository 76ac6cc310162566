import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Random, randomInt, seededRandom } from '../../src/random.js'
import { MsgpackCodec, type PayloadCodec } from '../../src/rpc/payload-codec.js'
import { PlainCodec } from '../../src/rpc/plain-codec.js'
import { PlainReader, UNREAD } from '../../src/rpc/plain-reader.js'
import { PlainWriter } from '../../src/rpc/plain-writer.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const limits = { payloadBytesMax: 100_000, decodedBytesMax: 20_000 }
const reference = new MsgpackCodec(limits)
const codec = new PlainCodec(limits)

const plainLeaf = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ unit: 'grapheme', minLength: 40, maxLength: 300 }),
  fc.string({ maxLength: 40 }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.boolean(),
  fc.constantFrom(null, undefined, -0, 0, '', 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, -32, -33, -128),
  fc.constantFrom(-129, -32_768, -32_769, -(2 ** 31), -(2 ** 31) - 1, '\ufeffx', '\ud800', `${'é'.repeat(60)}\udc00`),
  fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(2 ** 34 * 1_000 - 1) }),
  fc.uint8Array({ maxLength: 300 }),
)
const rareLeaf = fc.oneof(
  fc.bigInt(),
  fc.date({ noInvalidDate: false }),
  fc.float64Array({ maxLength: 4 }),
  fc.constantFrom<unknown>(() => 1, Symbol('s'), new Error('e'), new (class Account {})(), Object.create(null)),
)
const key = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 12 }))
const values = (leaf: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5, depthSize: 'small' },
      leaf,
      fc.array(tie('value'), { maxLength: 20 }),
      fc.dictionary(key, tie('value'), { maxKeys: 20, noNullPrototype: true }),
    ),
  })).value
const plain = values(plainLeaf)
const any = values(fc.oneof({ weight: 4, arbitrary: plainLeaf }, { weight: 1, arbitrary: rareLeaf }))

/** Records that are often of the same keys, or begin with them. */
const alike = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'medium' },
    fc.oneof(fc.constantFrom(null, 7, -1, 3.5, 'text', 'é'), fc.uint8Array({ maxLength: 4 })),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .uniqueArray(fc.constantFrom('id', 'name', 'n', 'tags', 'is', 'nick', 'a b', 'constructor'), { maxLength: 4 })
      .chain((keys) => fc.record(Object.fromEntries(keys.map((each) => [each, tie('value')])))),
  ),
})).value

/** What a codec makes of something: the result, or the refusal. */
function outcome(use: () => unknown): unknown {
  try {
    return { gave: use() }
  } catch (error) {
    return { refused: String(error) }
  }
}

const encoded = (by: PayloadCodec, value: unknown): unknown => outcome(() => Buffer.from(by.encode(value, 'args')))

describe('the codec on the hot path', () => {
  // Half of the damaged payloads end in an error: capturing their stacks would take most of the time.
  const limit = Error.stackTraceLimit
  beforeAll(() => {
    Error.stackTraceLimit = 0
  })
  afterAll(() => {
    Error.stackTraceLimit = limit
  })

  it(`writes the same bytes as the reference, and refuses in the same words (SEED=${seed})`, () => {
    fc.assert(
      fc.property(any, (value) => {
        expect(encoded(codec, value)).toStrictEqual(encoded(reference, value))
      }),
      { numRuns: 4_000, seed },
    )
  })

  it(`takes all plain data itself, in both directions (SEED=${seed})`, () => {
    const writer = new PlainWriter(1_000_000)
    const reader = new PlainReader(10_000_000)
    fc.assert(
      fc.property(plain, (value) => {
        const bytes = writer.tryWrite(value)
        if (bytes === undefined) {
          expect(JSON.stringify(value)).toMatch(/\\u|\ufeff|__proto__/) // a long text that UTF-8 cannot carry
          return
        }
        const read = reader.tryRead(bytes)
        if (read === UNREAD) expect(holdsNegativeZero(value)).toBe(true)
        else expect(read).toStrictEqual(value)
      }),
      { numRuns: 2_000, seed },
    )
  })

  it(`reads what the reference reads, and refuses what it refuses: 200,000 damaged payloads (SEED=${seed})`, () => {
    const random = seededRandom(seed)
    const samples = fc.sample(any, { numRuns: 400, seed }).flatMap((value) => {
      const bytes = encoded(reference, value) as { gave?: Uint8Array }
      return bytes.gave === undefined ? [] : [bytes.gave]
    })
    const tally = { read: 0, refused: 0 }
    for (let i = 0; i < 200_000; i++) {
      const bytes = damaged(samples[randomInt(random, samples.length)] ?? new Uint8Array(0), random)
      const read = i % 2 === 0 ? () => codec.decode(bytes) : () => codec.decodePart(amid(bytes), 3, 3 + bytes.length)
      const ours = outcome(read) as { gave?: unknown; refused?: string }
      const theirs = outcome(() => reference.decode(bytes)) as { gave?: unknown; refused?: string }
      if (ours.refused === undefined) tally.read++
      else tally.refused++
      // Comparing deeply is most of the time: the bytes that the values are sent as tell the same.
      if (ours.refused === theirs.refused && isSame(ours.gave, theirs.gave)) continue
      expect({ ...ours, bytes: Buffer.from(bytes).toString('hex') }).toStrictEqual({
        ...theirs,
        bytes: Buffer.from(bytes).toString('hex'),
      })
    }
    expect(tally.read).toBeGreaterThan(5_000)
    expect(tally.refused).toBeGreaterThan(5_000)
  })

  it(`reads and writes records with code as without: 100,000 damaged payloads (SEED=${seed})`, () => {
    const random = seededRandom(seed)
    const samples = fc
      .sample(alike, { numRuns: 400, seed })
      .map((value) => Buffer.from(reference.encode(value, 'args')))
    const general = { reader: new PlainReader(1_000, Infinity), writer: new PlainWriter(1_000, Infinity) }
    const calls = { begun: 0, others: 0, written: 0 }
    let quick = { reader: new PlainReader(1_000), writer: new PlainWriter(1_000) }
    for (let i = 0; i < 100_000; i++) {
      const sample = samples[randomInt(random, samples.length)] ?? new Uint8Array(0)
      const bytes = i % 4 === 0 ? sample : damaged(sample, random)
      if (i % 500 === 0) quick = { reader: new CountingReader(calls), writer: new CountingWriter(calls) }
      const theirs = general.reader.tryRead(bytes)
      const ours = quick.reader.tryRead(bytes)
      if (theirs === UNREAD || ours === UNREAD) expect(ours).toBe(theirs)
      else expect(outcome(() => quick.writer.tryWrite(ours))).toEqual(outcome(() => general.writer.tryWrite(theirs)))
    }
    expect(calls.written).toBeGreaterThan(1_000)
    expect(calls.begun).toBeGreaterThan(1_000)
    expect(calls.others).toBeGreaterThan(100)
  })
})

interface CodeCalls {
  begun: number
  others: number
  written: number
}

/** Counts what is read by code made for it, and where that breaks off. */
class CountingReader extends PlainReader {
  readonly #calls: CodeCalls

  constructor(calls: CodeCalls) {
    super(1_000, 1)
    this.#calls = calls
  }

  override tryPlace(count: number): number {
    this.#calls.begun++
    return super.tryPlace(count)
  }

  override otherRecord(...args: Parameters<PlainReader['otherRecord']>): unknown {
    this.#calls.others++
    return super.otherRecord(...args)
  }
}

class CountingWriter extends PlainWriter {
  readonly #calls: CodeCalls

  constructor(calls: CodeCalls) {
    super(1_000, 1)
    this.#calls = calls
  }

  override place(count: number): number {
    this.#calls.written++
    return super.place(count)
  }
}

/** What comes before and after is of no concern: here it is the rest of any code point. */
function amid(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(bytes.length + 6).fill(0xbf)
  whole.set(bytes, 3)
  return whole
}

function isSame(a: unknown, b: unknown): boolean {
  const again = (value: unknown): unknown => outcome(() => Buffer.from(reference.encode(value, 'v')).toString('latin1'))
  return JSON.stringify(again(a)) === JSON.stringify(again(b))
}

function holdsNegativeZero(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(holdsNegativeZero)
  if (typeof value === 'object' && value !== null) return Object.values(value).some(holdsNegativeZero)
  return Object.is(value, -0)
}

/** Bytes changed, cut off, repeated or put in. */
function damaged(sample: Uint8Array, random: Random): Uint8Array {
  const bytes = [...sample.subarray(0, 400)]
  for (let edits = randomInt(random, 4); edits >= 0; edits--) {
    const at = randomInt(random, bytes.length + 1)
    const kind = randomInt(random, 4)
    if (kind === 0) bytes.splice(at, 1 + randomInt(random, 4))
    else if (kind === 1) bytes.splice(at, 0, randomInt(random, 256))
    else if (kind === 2) bytes[at] = 0x80 + randomInt(random, 128)
    else if (at < bytes.length) bytes[at] = randomInt(random, 256)
  }
  return Uint8Array.from(bytes)
}
