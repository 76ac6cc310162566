/**
 * Instances that keep failing are tried last for a while: after some failures in a row an instance is ejected, all those
 * of a node as soon as its connection breaks, is refused, or leaves a ping unanswered. When the time is over one call is
 * let through to see. None is ever left out, so the last one of a service is always tried. A new boot of a node begins
 * with a clean slate. Pure; whoever ends calls and connections tells it how.
 */
import type { CallErrorCode, RpcError } from '../errors.js'
import type { Candidate } from './directory.js'

/** One boot of one node. */
export type CircuitTarget = Pick<Candidate, 'node' | 'bootId'>

/** Failures in a row that eject an instance. */
const FAILURES_MAX = 5
const EJECT_MS = 1_000
/** Of a node whose connection broke: by then membership, which looks at once, suspects it if its process is gone. */
const LOST_MS = 3_000
const EJECT_MS_MAX = 30_000
/** Failing instances remembered; the oldest are forgiven first. */
const TRACKED_MAX = 4_096
/** One that was neither tried nor lost for so long is forgotten: most are gone for good, and all calls would look for them. */
const FORGET_MS = 60_000
const SWEEP_MS = 1_000
/** No service has this name. */
const WHOLE_NODE = ''

/** That the instance did not answer. A refusal, or what its handler threw, is an answer. */
const SILENCE: ReadonlySet<CallErrorCode> = new Set(['UNREACHABLE', 'CONNECTION_LOST', 'DEADLINE_EXCEEDED'])

interface Circuit {
  failures: number
  /** Until then it comes last; 0 as long as it has not failed often enough. */
  ejectedUntil: number
  ejectMs: number
  /** A call is under way to see whether it works again. */
  isOnTrial: boolean
  touchedAt: number
}

export class Circuits {
  readonly #byInstance = new Map<string, Circuit>()
  #ejections = 0
  #sweepAt = Number.NEGATIVE_INFINITY

  /** Instances, and nodes as a whole, that come last now. */
  ejectedCount(now: number): number {
    let count = 0
    for (const circuit of this.#byInstance.values()) if (circuit.ejectedUntil > now) count++
    return count
  }

  /** Nothing has failed lately: every order is right as it is. */
  get isClear(): boolean {
    return this.#byInstance.size === 0
  }

  /** Since the start. */
  get ejections(): number {
    return this.#ejections
  }

  /** A try on this instance ended; `error` is undefined when it was answered. */
  note(service: string, target: CircuitTarget, error: RpcError | undefined, now: number): void {
    if (error === undefined && this.#byInstance.size === 0) return
    if (error === undefined || !isSilence(error)) {
      if (error?.code !== 'CANCELLED' && error?.code !== 'CLOSED') this.#forgive(service, target)
      return
    }
    // A deadline that was over before anything was sent says nothing about the instance.
    if (error.code === 'DEADLINE_EXCEEDED' && error.executed === 'no') return
    const circuit = this.#circuit(keyOf(service, target), EJECT_MS, now)
    circuit.failures++
    if (circuit.failures >= FAILURES_MAX) this.#eject(circuit, now)
  }

  /** A connection to this node broke, was refused, or is silent: most likely its process is gone, with all its services. */
  lost(target: CircuitTarget, now: number): void {
    this.#eject(this.#circuit(keyOf(WHOLE_NODE, target), LOST_MS, now), now)
  }

  /** The same candidates, those that are ejected last. One whose time is over keeps its place, until a call begins with it. */
  arrange(service: string, candidates: readonly Candidate[], now: number): readonly Candidate[] {
    if (this.#byInstance.size === 0 || candidates.length < 2) return candidates
    this.#sweep(now)
    const isEjected = (candidate: Candidate): boolean =>
      this.#circuitsOf(service, candidate).some(({ ejectedUntil }) => ejectedUntil > now)
    const ejected = candidates.filter(isEjected)
    if (ejected.length === candidates.length) return candidates
    const arranged =
      ejected.length === 0
        ? candidates
        : [...candidates.filter((candidate) => !ejected.includes(candidate)), ...ejected]
    if (arranged[0] !== undefined) this.#tryOut(service, arranged[0], now)
    return arranged
  }

  /** This call sees whether it works again; until that is known the others still pass by. */
  #tryOut(service: string, candidate: Candidate, now: number): void {
    for (const circuit of this.#circuitsOf(service, candidate)) {
      if (circuit.ejectedUntil === 0) continue
      circuit.ejectedUntil = now + circuit.ejectMs
      circuit.isOnTrial = true
      circuit.touchedAt = now
    }
  }

  #circuitsOf(service: string, target: CircuitTarget): Circuit[] {
    const keys = [keyOf(service, target), keyOf(WHOLE_NODE, target)]
    return keys.flatMap((key) => this.#byInstance.get(key) ?? [])
  }

  #forgive(service: string, target: CircuitTarget): void {
    this.#byInstance.delete(keyOf(service, target))
    this.#byInstance.delete(keyOf(WHOLE_NODE, target))
  }

  /** The calls that were under way when it was ejected say nothing new. */
  #eject(circuit: Circuit, now: number): void {
    if (circuit.ejectedUntil > now && !circuit.isOnTrial) return
    if (circuit.ejectedUntil === 0) this.#ejections++
    else circuit.ejectMs = Math.min(EJECT_MS_MAX, 2 * circuit.ejectMs)
    circuit.ejectedUntil = now + circuit.ejectMs
    circuit.isOnTrial = false
  }

  #sweep(now: number): void {
    if (now < this.#sweepAt) return
    this.#sweepAt = now + SWEEP_MS
    for (const [key, { touchedAt }] of this.#byInstance) {
      if (now - touchedAt >= FORGET_MS) this.#byInstance.delete(key)
    }
  }

  #circuit(key: string, ejectMs: number, now: number): Circuit {
    const known = this.#byInstance.get(key)
    if (known !== undefined) {
      known.touchedAt = now
      return known
    }
    if (this.#byInstance.size >= TRACKED_MAX) {
      for (const oldest of this.#byInstance.keys()) {
        this.#byInstance.delete(oldest)
        break
      }
    }
    const circuit = { failures: 0, ejectedUntil: 0, ejectMs, isOnTrial: false, touchedAt: now }
    this.#byInstance.set(key, circuit)
    return circuit
  }
}

/** A stream that ran into its own time limit has given items: that is an answer. */
function isSilence({ code, executed }: RpcError): boolean {
  return SILENCE.has(code) && !(code === 'DEADLINE_EXCEEDED' && executed === 'yes')
}

function keyOf(service: string, { node, bootId }: CircuitTarget): string {
  return `${service}\0${node}\0${bootId}`
}
