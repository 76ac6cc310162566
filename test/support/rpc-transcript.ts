/**
 * One conversation of a caller and a callee that has every kind of frame in it, step by step against the bytes on file:
 * each side must write what is there, and is given what is there, as if the other one were of the version that wrote it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect } from 'vitest'
import { concatBytes } from '../../src/bytes.js'
import type { Outbox } from '../../src/rpc/outbox.js'
import { SessionPair, taken } from './session-pair.js'

export interface Step {
  readonly from: 'caller' | 'callee'
  readonly name: string
  /** Hex, with `78x65000` for a byte that is repeated. */
  readonly bytes: string
}

const FILE = new URL('../vectors/rpc-transcript.json', import.meta.url)
/** Writes the file anew. Only with a reason that goes into the changelog: nodes of the version before have to read it. */
const isWriting = process.env['TRANSCRIPT'] === 'write'

export function readTranscript(): readonly Step[] {
  return (JSON.parse(readFileSync(FILE, 'utf8')) as { readonly steps: readonly Step[] }).steps
}

export class Transcript {
  readonly pair: SessionPair = new SessionPair()
  readonly #golden: readonly Step[] = isWriting ? [] : readTranscript()
  readonly #steps: Step[] = []

  /** What the caller has written by now goes to the callee. */
  call(name: string): void {
    const bytes = this.#step('caller', name, this.pair.callerBox)
    this.pair.caller.flushed()
    this.pair.callee.handleBytes(bytes, bytes.length, 0)
  }

  answer(name: string): void {
    const bytes = this.#step('callee', name, this.pair.calleeBox)
    this.pair.caller.handleBytes(bytes, bytes.length)
  }

  /** No step on file is left. */
  end(): void {
    const about = 'Every frame kind of the rpc wire in one conversation; see test/support/rpc-transcript.ts.'
    if (isWriting) writeFileSync(FILE, `${JSON.stringify({ about, steps: this.#steps }, undefined, 1)}\n`)
    else expect(this.#steps.length).toBe(this.#golden.length)
  }

  #step(from: Step['from'], name: string, box: Outbox): Uint8Array {
    const own = taken(box)
    const step = { from, name, bytes: packed(own) }
    const golden = isWriting ? step : this.#golden[this.#steps.length]
    this.#steps.push(step)
    expect(step).toEqual(golden)
    return unpacked(golden?.bytes ?? '')
  }
}

/** A run of one byte that is longer than this is written as such. */
const RUN_MIN = 64

function packed(bytes: Uint8Array): string {
  let parts = ''
  for (let at = 0; at < bytes.length; ) {
    let end = at + 1
    while (end < bytes.length && bytes[end] === bytes[at]) end++
    const hex = (bytes[at] ?? 0).toString(16).padStart(2, '0')
    parts += end - at > RUN_MIN ? ` ${hex}x${end - at} ` : hex.repeat(end - at)
    at = end
  }
  return parts.trim()
}

export function unpacked(text: string): Uint8Array {
  const parts = text.split(' ').filter((part) => part !== '')
  return concatBytes(
    parts.map((part) => {
      const [hex = '', count] = part.split('x')
      return count === undefined
        ? new Uint8Array(Buffer.from(hex, 'hex'))
        : new Uint8Array(Number(count)).fill(Number.parseInt(hex, 16))
    }),
  )
}
