/**
 * Runs the pure machine on real sockets and one timer. It hands inputs in, carries the effects out, and calls users'
 * listeners only when the machine is at rest.
 *
 * The stall rule: Node runs expired timers before it reads queued datagrams, and reads few of them a turn. So when the
 * timer fires, the socket is drained first - turns of the event loop until one brought no packet - and a timer that
 * fired late extends every running deadline by the delay. Otherwise each stall would convict innocent peers.
 */
import type { HostPort } from '../address.js'
import type { Clock, Timer } from '../clock.js'
import type { Effect, MemberEvent, Notice, Question } from './effects.js'
import type { Envelope } from './envelope.js'
import type { StreamTransport } from './stream-transport.js'
import type { Swim } from './swim.js'
import { codeOf, type UdpTransport } from './udp-transport.js'

export interface DriverParts {
  readonly clock: Clock
  readonly swim: Swim
  readonly udp: UdpTransport
  readonly streams: StreamTransport
  readonly envelope: Envelope
  readonly onEvent: (event: MemberEvent) => void
  readonly onNotice: (notice: Notice) => void
  readonly onJoined: (id: number, error: string | undefined) => void
  readonly onLeft: () => void
  readonly onPinged: (id: number, rttMs: number | undefined) => void
  readonly onQuestion: (id: number, question: Question) => void
  /** Whether packets and streams from this address are looked at. Default all are. */
  readonly isAllowed: ((host: string) => boolean) | undefined
}

/** A timer that fires later than this has met a stalled event loop. */
const STALL_MS = 5
/** Draining ends after this many turns even under constant traffic. */
const DRAIN_TURNS_MAX = 256
const TROUBLES_MAX = 64
/** A timer cannot wait longer; it would fire at once. */
const TIMER_MAX_MS = 0x7fff_ffff

export class Driver {
  readonly #parts: DriverParts
  #timer: Timer | undefined
  #timerAt = 0
  #cancelTurn: (() => void) | undefined
  #closed = false
  #lagMs = 0
  /** Codes of socket errors that were told. */
  readonly #troubles = new Set<string>()

  constructor(parts: DriverParts) {
    this.#parts = parts
    parts.udp.listen(
      (bytes, from) => this.#handlePacket(bytes, from),
      (error) => this.#handleTrouble(error),
    )
    parts.streams.listen({
      message: (id, message, from) => this.input((swim, now) => swim.handleStream(id, message, from, now)),
      drop: (reason) => parts.swim.count(reason),
      isAllowed: (host) => this.#isAllowed(host),
    })
  }

  /** How late the last timer fired, in ms. */
  get lagMs(): number {
    return this.#lagMs
  }

  /** Feeds one input, then does what the machine asks for. Ignored after close. */
  input(feed: (swim: Swim, now: number) => void): void {
    if (this.#closed) return
    feed(this.#parts.swim, this.#parts.clock.monotonicMs())
    this.#settle()
  }

  close(): void {
    this.#closed = true
    this.#parts.clock.clearTimer(this.#timer)
    this.#cancelTurn?.()
  }

  #handlePacket(bytes: Uint8Array, from: HostPort): void {
    if (this.#closed || !this.#isAllowed(from.host)) return
    const opened = this.#parts.envelope.openPacket(bytes)
    if (opened.ok) this.input((swim, now) => swim.handlePacket(opened.rest, from, now))
    else this.#parts.swim.count(opened.drop)
  }

  #isAllowed(host: string): boolean {
    if (this.#parts.isAllowed?.(host) !== false) return true
    this.#parts.swim.count('not-allowed')
    return false
  }

  #handleTrouble(error: Error): void {
    const code = codeOf(error)
    if (this.#closed || this.#troubles.has(code) || this.#troubles.size >= TROUBLES_MAX) return
    this.#troubles.add(code)
    this.#parts.onNotice({ kind: 'socket-error', code, reason: error.message })
  }

  #settle(): void {
    const deferred: Effect[] = []
    for (let effects = this.#parts.swim.drain(); effects.length > 0; effects = this.#parts.swim.drain()) {
      for (const effect of effects) this.#perform(effect, deferred)
    }
    this.#arm()
    for (const effect of deferred) this.#tell(effect)
  }

  #perform(effect: Effect, deferred: Effect[]): void {
    const { udp, streams, envelope } = this.#parts
    switch (effect.type) {
      case 'packet':
        udp.send(envelope.sealPacket(effect.bytes), effect.to)
        break
      case 'reply':
        streams.reply(effect.stream, effect.bytes)
        break
      case 'exchange':
        void streams
          .exchange(effect)
          .then((result) => this.input((swim, now) => swim.handleExchange(effect.id, result, now)))
        break
      default:
        deferred.push(effect)
    }
  }

  #tell(effect: Effect): void {
    const { onEvent, onNotice, onJoined, onLeft, onPinged, onQuestion } = this.#parts
    if (effect.type === 'event') onEvent(effect.event)
    else if (effect.type === 'notice') onNotice(effect.notice)
    else if (effect.type === 'joined') onJoined(effect.id, effect.error)
    else if (effect.type === 'left') onLeft()
    else if (effect.type === 'pinged') onPinged(effect.id, effect.rttMs)
    else if (effect.type === 'judge') onQuestion(effect.id, effect.question)
  }

  #arm(): void {
    if (this.#closed || this.#cancelTurn !== undefined) return
    const dueAt = this.#parts.swim.nextDeadline()
    if (this.#timer !== undefined && this.#timerAt === dueAt) return
    this.#parts.clock.clearTimer(this.#timer)
    this.#timerAt = dueAt
    const delay = Math.min(TIMER_MAX_MS, Math.max(0, dueAt - this.#parts.clock.monotonicMs()))
    this.#timer = this.#parts.clock.setTimeout(() => this.#onTimer(), delay)
  }

  #onTimer(): void {
    this.#timer = undefined
    const now = this.#parts.clock.monotonicMs()
    this.#lagMs = Math.max(0, now - this.#timerAt)
    // Node fires up to a millisecond early: there is nothing to judge yet.
    if (now < this.#timerAt) this.#arm()
    else this.#drainThenJudge(this.#lagMs, 0)
  }

  #drainThenJudge(stallMs: number, turns: number): void {
    const before = this.#parts.udp.received
    const startedAt = this.#parts.clock.monotonicMs()
    this.#cancelTurn = this.#parts.clock.setImmediate(() => {
      this.#cancelTurn = undefined
      if (this.#closed) return
      // The loop may stand still between the timer and this very turn: then the socket was not read either.
      const turnMs = this.#parts.clock.monotonicMs() - startedAt
      const stalled = turnMs > STALL_MS
      const sumMs = stalled ? stallMs + turnMs : stallMs
      const isQuiet = this.#parts.udp.received === before && !stalled
      if (isQuiet || turns >= DRAIN_TURNS_MAX) this.#judge(sumMs)
      else this.#drainThenJudge(sumMs, turns + 1)
    })
  }

  #judge(stallMs: number): void {
    this.input((swim, now) => {
      if (stallMs > STALL_MS) swim.handleStall(stallMs)
      swim.handleTimeout(now)
    })
  }
}
