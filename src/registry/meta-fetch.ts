/**
 * Brings in the large metas that records refer to, each once: asks a node that announces it, and again with doubling
 * pauses when nothing comes; answers others. Whatever comes in is believed by its hash alone, so it does not matter when,
 * from whom or how often. Counts time in ticks of about a second, and bounds what is under way both ways.
 */
import { type Random, randomInt } from '../random.js'
import { decodeMeta, encodeMessage } from './codec.js'
import type { MetaStore } from './meta-store.js'
import { FETCH_COUNT_MAX, META_HASH_DIGITS, type MetaRef } from './record.js'

/** SHA-256 of the bytes, in hex. */
export type Sha256 = (bytes: Uint8Array) => string

export interface MetaFetchParts {
  readonly node: string
  readonly store: MetaStore
  readonly sha256: Sha256
  readonly random: Random
  readonly send: (node: string, bytes: Uint8Array) => void
  /** Visible nodes that announce it. */
  readonly announcers: (hash: string) => string[]
  /** None of them does any more. */
  readonly forget: (hash: string) => void
  /** Calls `want` again for all that is referred to and not held. */
  readonly wantAll: () => void
}

interface Wanted {
  readonly ref: MetaRef
  attempts: number
  /** Not asked for again before this tick. */
  dueTick: number
  /** It may come in any time now. */
  isAsked: boolean
}

/** Hashes remembered; more wait until some of these are there. */
const WANTED_MAX = 4_096
/** Of answers that we wait for. */
const ASKED_BYTES_MAX = 8 * 1024 * 1024
const ASKED_MAX = 256
const PAUSE_TICKS_MAX = 32
/** Sent in one tick; whoever gets nothing asks again. */
const ANSWER_BYTES_MAX = 32 * 1024 * 1024
/** Tried in vain so often, it makes place for others. */
const PATIENCE = 3

export class MetaFetch {
  readonly #parts: MetaFetchParts
  readonly #wanted = new Map<string, Wanted>()
  #tick = 0
  #asked = 0
  #askedBytes = 0
  #overflowed = false
  /** Since the last tick there was no room in the store. */
  #isFull = false
  readonly #answered = new Set<string>()
  #answeredBytes = 0

  constructor(parts: MetaFetchParts) {
    this.#parts = parts
  }

  want(ref: MetaRef): void {
    if (this.#wanted.has(ref.hash)) return
    if (this.#wanted.size >= WANTED_MAX && !this.#giveUpOne()) {
      this.#overflowed = true
      return
    }
    this.#wanted.set(ref.hash, { ref, attempts: 0, dueTick: 0, isAsked: false })
  }

  /** To be called after each input and each tick. */
  ask(): void {
    if (this.#wanted.size === 0) return
    const questions = new Map<string, string[]>()
    for (const wanted of this.#wanted.values()) {
      if (this.#isFull || this.#asked >= ASKED_MAX) break
      if (wanted.dueTick > this.#tick || wanted.isAsked || !this.#fits(wanted.ref.bytes)) continue
      const node = this.#chooseFor(wanted)
      if (node !== undefined) questions.set(node, [...(questions.get(node) ?? []), wanted.ref.hash])
    }
    for (const [to, hashes] of questions) this.#question(to, hashes)
  }

  handleTick(): void {
    this.#tick++
    this.#answered.clear()
    this.#answeredBytes = 0
    this.#isFull = false
    for (const wanted of this.#wanted.values()) {
      if (wanted.dueTick <= this.#tick) this.#settle(wanted, wanted.dueTick)
      // What is never to be of use is kept as long as it would be asked for.
      else if (wanted.dueTick === Number.POSITIVE_INFINITY) this.#announcers(wanted)
    }
    if (!this.#overflowed || this.#wanted.size >= WANTED_MAX) return
    this.#overflowed = false
    this.#parts.wantAll()
  }

  /** Somebody asks for some of ours. The same node gets each once in a tick. False when it gets none. */
  handleFetch(node: string, hashes: readonly string[]): boolean {
    const bodies = hashes.map((hash) => this.#answerTo(node, hash)).filter((bytes) => bytes !== undefined)
    if (bodies.length === 0) return false
    this.#parts.send(node, encodeMessage({ kind: 'bodies', bodies }))
    return true
  }

  /** The hash under which it is held from now on. Bytes that nobody wants are not even decoded. */
  handleBody(bytes: Uint8Array): { readonly hash: string } | 'unwanted' | 'malformed' | 'no-room' {
    if (!this.#isAwaited(bytes.length)) return 'unwanted'
    const hash = metaHash(this.#parts.sha256, bytes)
    const wanted = this.#wanted.get(hash)
    if (wanted === undefined || wanted.ref.bytes !== bytes.length) return 'unwanted'
    const decoded = decodeMeta(bytes)
    if (decoded === undefined) {
      // Never to be of use: it stays on the list only so that it is not asked for again.
      this.#settle(wanted, Number.POSITIVE_INFINITY)
      return 'malformed'
    }
    if (!this.#parts.store.put(hash, decoded.meta, decoded.weight)) {
      this.#settle(wanted, this.#tick + PAUSE_TICKS_MAX)
      return 'no-room'
    }
    this.#settle(wanted, Number.POSITIVE_INFINITY)
    this.#wanted.delete(hash)
    return { hash }
  }

  /** Whom to ask for it now, if anybody; then it counts as under way. */
  #chooseFor(wanted: Wanted): string | undefined {
    const { store, random } = this.#parts
    const { bytes } = wanted.ref
    const nodes = this.#announcers(wanted)
    const node = nodes[randomInt(random, nodes.length)]
    if (node === undefined) return undefined
    this.#isFull = !store.makeRoom(this.#askedBytes + bytes)
    if (this.#isFull) return undefined
    wanted.attempts++
    wanted.dueTick = this.#tick + Math.min(PAUSE_TICKS_MAX, 2 ** wanted.attempts)
    wanted.isAsked = true
    this.#asked++
    this.#askedBytes += bytes
    return node
  }

  /** Who could be asked; if nobody could, it is forgotten. */
  #announcers({ ref }: Wanted): string[] {
    const nodes = this.#parts.announcers(ref.hash)
    if (nodes.length > 0) return nodes
    this.#wanted.delete(ref.hash)
    this.#parts.forget(ref.hash)
    return []
  }

  #question(to: string, hashes: readonly string[]): void {
    const { node, send } = this.#parts
    for (let at = 0; at < hashes.length; at += FETCH_COUNT_MAX) {
      send(to, encodeMessage({ kind: 'fetch', node, hashes: hashes.slice(at, at + FETCH_COUNT_MAX) }))
    }
  }

  #answerTo(node: string, hash: string): Uint8Array | undefined {
    const bytes = this.#parts.store.ownBytes(hash)
    const key = `${hash} ${node}`
    if (bytes === undefined || this.#answered.has(key) || this.#answeredBytes + bytes.length > ANSWER_BYTES_MAX)
      return undefined
    this.#answered.add(key)
    this.#answeredBytes += bytes.length
    return bytes
  }

  #fits(bytes: number): boolean {
    return this.#askedBytes === 0 || this.#askedBytes + bytes <= ASKED_BYTES_MAX
  }

  #isAwaited(length: number): boolean {
    for (const { ref } of this.#wanted.values()) if (ref.bytes === length) return true
    return false
  }

  /** It is not under way any more. */
  #settle(wanted: Wanted, dueTick: number): void {
    if (wanted.isAsked) {
      this.#asked--
      this.#askedBytes -= wanted.ref.bytes
    }
    wanted.isAsked = false
    wanted.dueTick = dueTick
  }

  #giveUpOne(): boolean {
    for (const [hash, wanted] of this.#wanted) {
      if (wanted.attempts < PATIENCE) continue
      this.#settle(wanted, 0)
      this.#wanted.delete(hash)
      this.#overflowed = true // it has its turn again later
      return true
    }
    return false
  }
}

/** The name of a meta's bytes: 128 bits of SHA-256. */
export function metaHash(sha256: Sha256, bytes: Uint8Array): string {
  return sha256(bytes).slice(0, META_HASH_DIGITS)
}
