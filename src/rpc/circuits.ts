/**
 * Instances that keep failing are tried last for a while: after some failures in a row an instance is ejected, and when
 * its time is over one call is let through to see. None is ever left out, so the last one of a service is always tried.
 * Pure; whoever ends calls tells it how.
 */
import type { CallErrorCode, RpcError } from '../errors.js'
import type { Candidate } from './directory.js'

/** Failures in a row that eject an instance. */
const FAILURES_MAX = 5
const EJECT_MS = 1_000
const EJECT_MS_MAX = 30_000
/** Failing instances remembered; the oldest are forgiven first. */
const TRACKED_MAX = 4_096

/** That the instance did not answer. A refusal, or what its handler threw, is an answer. */
const SILENCE: ReadonlySet<CallErrorCode> = new Set(['UNREACHABLE', 'CONNECTION_LOST', 'DEADLINE_EXCEEDED'])

interface Circuit {
  failures: number
  /** Until then it comes last; 0 as long as it has not failed often enough. */
  ejectedUntil: number
  ejectMs: number
}

export class Circuits {
  readonly #byInstance = new Map<string, Circuit>()
  #ejections = 0

  /** Instances that come last now. */
  ejectedCount(now: number): number {
    let count = 0
    for (const circuit of this.#byInstance.values()) if (circuit.ejectedUntil > now) count++
    return count
  }

  /** Since the start. */
  get ejections(): number {
    return this.#ejections
  }

  /** A try on this instance ended; `error` is undefined when it was answered. */
  note(service: string, node: string, error: RpcError | undefined, now: number): void {
    if (error === undefined && this.#byInstance.size === 0) return
    const key = keyOf(service, node)
    if (error === undefined || !SILENCE.has(error.code)) {
      if (error?.code !== 'CANCELLED' && error?.code !== 'CLOSED') this.#byInstance.delete(key)
      return
    }
    // A deadline that was over before anything was sent says nothing about the instance.
    if (error.code === 'DEADLINE_EXCEEDED' && error.executed === 'no') return
    this.#fail(key, now)
  }

  /** The same candidates, those that are ejected last. One whose time is over keeps its place, in this call alone. */
  arrange(service: string, candidates: readonly Candidate[], now: number): readonly Candidate[] {
    if (this.#byInstance.size === 0 || candidates.length < 2) return candidates
    const ejected = candidates.filter(({ node }) => this.#isEjected(keyOf(service, node), now))
    if (ejected.length === 0 || ejected.length === candidates.length) return candidates
    return [...candidates.filter((candidate) => !ejected.includes(candidate)), ...ejected]
  }

  #isEjected(key: string, now: number): boolean {
    const circuit = this.#byInstance.get(key)
    if (circuit === undefined || circuit.ejectedUntil === 0) return false
    if (circuit.ejectedUntil > now) return true
    circuit.ejectedUntil = now + circuit.ejectMs // this call sees whether it works again; the others still pass by
    return false
  }

  #fail(key: string, now: number): void {
    const circuit = this.#byInstance.get(key) ?? this.#track(key)
    circuit.failures++
    if (circuit.failures < FAILURES_MAX) return
    const isFirst = circuit.ejectedUntil === 0
    if (isFirst) this.#ejections++
    circuit.ejectMs = isFirst ? EJECT_MS : Math.min(EJECT_MS_MAX, 2 * circuit.ejectMs)
    circuit.ejectedUntil = now + circuit.ejectMs
  }

  #track(key: string): Circuit {
    if (this.#byInstance.size >= TRACKED_MAX) {
      for (const oldest of this.#byInstance.keys()) {
        this.#byInstance.delete(oldest)
        break
      }
    }
    const circuit = { failures: 0, ejectedUntil: 0, ejectMs: EJECT_MS }
    this.#byInstance.set(key, circuit)
    return circuit
  }
}

function keyOf(service: string, node: string): string {
  return `${service}\0${node}`
}
