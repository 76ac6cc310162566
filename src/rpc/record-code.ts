/**
 * Code made for records that come often. Records of the same keys come again and again, and code that names their keys
 * reads and writes them in much less time than code that does not. It is made of the keys alone, and a bounded table
 * holds it. Where code may not be made of texts, as under Node's --disallow-code-generation-from-strings, everything goes
 * without. What a payload is made of is said by the reader and the writer that the code works for.
 */

/** Stands in a text of code as it is, between quotes, and its place among the keys is where it was put. */
const KEY = /^(?!\d)[ !#-[\]-~]{1,31}$/
const KEYS_MAX = 32
const SLOTS = 256
/** Of all keys with code: it takes 280 to 530 bytes of memory for each (measured), and peers choose the keys. */
const KEY_CHARS_MAX = 16_384
/** Of the records without code one in so many is given some: to make it takes about as long as to read as many. */
const LEARN_EVERY = 1_000
/** More and more, where code comes and goes without being used. */
const LEARN_EVERY_MAX = 64_000
/** One that came so often since its place was last wanted keeps it. */
const HITS_MIN = 100

/** Where a payload is read. A key is bytes here: a short text of MessagePack. */
export interface RecordSource {
  readonly bytes: Uint8Array
  /** Where the next `count` bytes begin; -1 when there are not so many. */
  tryPlace(count: number): number
  goTo(at: number): void
  value(depth: number): unknown
  /** The record that begins with these values, and goes on with other keys than the known one. */
  otherRecord(known: KnownRecord<ReadRecord>, values: readonly unknown[], depth: number): unknown
}

/** Where one is written. */
export interface RecordTarget {
  readonly bytes: Uint8Array
  /** Makes room for `count` more bytes, and says where; `bytes` may be others then. */
  place(count: number): number
  /** False when the value is not for this writer. */
  value(value: unknown, depth: number): boolean
}

/** Reads the values of a record, which lie at `depth`. */
export type ReadRecord = (source: RecordSource, depth: number) => unknown
export type WriteRecord = (target: RecordTarget, record: object, depth: number) => boolean

export class KnownRecord<Code> {
  readonly keys: readonly string[]
  readonly code: Code
  #hits = 0

  constructor(keys: readonly string[], make: (known: KnownRecord<Code>) => Code) {
    this.keys = keys
    this.code = make(this)
  }

  noteHit(): void {
    if (this.#hits < HITS_MIN) this.#hits++
  }

  /** It was another one after all. */
  takeHitBack(): void {
    this.#hits--
  }

  /** Whether another one may have its place. */
  givesWay(): boolean {
    if (this.#hits < HITS_MIN) return true
    this.#hits = 0
    return false
  }
}

export class RecordCodes<Code> {
  readonly #make: (known: KnownRecord<Code>) => Code
  #learnEvery: number
  readonly #slots: (KnownRecord<Code> | undefined)[] = new Array<undefined>(SLOTS).fill(undefined)
  #strangers = 0
  #keyChars = 0
  #isAllowed = true

  constructor(make: (known: KnownRecord<Code>) => Code, learnEvery: number = LEARN_EVERY) {
    this.#make = make
    this.#learnEvery = learnEvery
  }

  /** What a record of `count` keys may be, of which the first is so long and begins with this character. */
  find(count: number, firstLength: number, firstChar: number): KnownRecord<Code> | undefined {
    const known = this.#slots[slotOf(count, firstLength, firstChar)]
    return known?.keys.length === count ? known : undefined
  }

  /** There was no code for it. */
  noteStranger(record: object): void {
    if (++this.#strangers < this.#learnEvery || !this.#isAllowed) return
    this.#strangers = 0
    const keys = Object.keys(record)
    const first = keys[0]
    if (first === undefined || keys.length > KEYS_MAX || !keys.every(mayStand)) return
    const slot = slotOf(keys.length, first.length, first.charCodeAt(0))
    const former = this.#slots[slot]
    const keyChars = this.#keyChars - charsOf(former?.keys ?? []) + charsOf(keys)
    if (keyChars > KEY_CHARS_MAX || former?.givesWay() === false) return
    if (former !== undefined) this.#learnEvery = Math.min(2 * this.#learnEvery, LEARN_EVERY_MAX)
    try {
      this.#slots[slot] = new KnownRecord(keys, this.#make)
      this.#keyChars = keyChars
    } catch (error) {
      // Whoever started this process does not allow it: the general way is there for that.
      if (error instanceof EvalError) this.#isAllowed = false
    }
  }
}

/** Code that reads a record as far as it has these keys, in this order. */
export function readingCode(known: KnownRecord<ReadRecord>): ReadRecord {
  const { keys } = known
  const steps = keys.map((key, i) => {
    const bytes = shortText(key)
    const isOther = bytes.map((byte, j) => ` || bytes[at + ${j}] !== ${byte}`).join('')
    const before = keys.slice(0, i).map((_, j) => `v${j}`)
    return `
      at = source.tryPlace(${bytes.length})
      if (at < 0${isOther}) return source.otherRecord(known, [${before}], depth)
      source.goTo(at + ${bytes.length})
      const v${i} = source.value(depth)`
  })
  const fields = keys.map((key, i) => `${JSON.stringify(key)}: v${i}`)
  return codeOf(
    `(source, depth) => {
      const { bytes } = source
      let at = 0
      ${steps.join('')}
      return { ${fields} }
    }`,
    known,
  )
}

/** Code that writes a record of these keys, in this order, and of no others. */
export function writingCode(known: KnownRecord<WriteRecord>): WriteRecord {
  const steps = known.keys.map((key) => {
    const bytes = shortText(key)
    return `
      at = target.place(${bytes.length})
      bytes = target.bytes
      ${bytes.map((byte, i) => `bytes[at + ${i}] = ${byte}`).join(';')}
      if (!target.value(record[${JSON.stringify(key)}], depth)) return false`
  })
  return codeOf(
    `(target, record, depth) => {
      let at, bytes
      ${steps.join('')}
      return true
    }`,
    known,
  )
}

function codeOf<Code>(text: string, known: KnownRecord<Code>): Code {
  return new Function('known', `return ${text}`)(known) as Code
}

function charsOf(keys: readonly string[]): number {
  return keys.reduce((sum, key) => sum + key.length, 0)
}

function mayStand(key: string): boolean {
  return KEY.test(key) && key !== '__proto__'
}

/** As MessagePack has it. */
function shortText(key: string): number[] {
  return [0xa0 | key.length, ...Array.from(key, (char) => char.charCodeAt(0))]
}

function slotOf(count: number, firstLength: number, firstChar: number): number {
  return (Math.imul(count, 31) + Math.imul(firstLength, 7) + firstChar) & (SLOTS - 1)
}
