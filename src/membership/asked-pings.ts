/** Users' pings under way: the promises that wait for the machine's `pinged` effects. */
import { ShoalError } from '../errors.js'
import type { Driver } from './driver.js'

export interface PingOptions {
  /** Milliseconds to wait for the answer. Default the profile's `probeTimeoutMs`. */
  readonly timeout?: number
}

export interface AskedPing {
  readonly member: string
  readonly timeoutMs: number
}

interface Waiting {
  readonly resolve: (rttMs: number) => void
  readonly reject: (error: ShoalError) => void
  readonly asked: AskedPing
}

const TIMEOUT_MS_MAX = 3_600_000

export class AskedPings {
  readonly #waiting = new Map<number, Waiting>()

  start(driver: Driver, asked: AskedPing): Promise<number> {
    const { member, timeoutMs } = asked
    if (!(timeoutMs > 0 && timeoutMs <= TIMEOUT_MS_MAX))
      return refuse('INVALID_ARGUMENT', `timeout is ${timeoutMs}, it must be above 0 and at most ${TIMEOUT_MS_MAX} ms`)
    return new Promise((resolve, reject) => {
      driver.input((swim, now) => {
        if (swim.member(member) === undefined) {
          reject(new ShoalError('INVALID_ARGUMENT', `no member '${member}' is known`))
          return
        }
        const id = swim.ping(member, timeoutMs, now)
        if (id === undefined) reject(new ShoalError('OVERLOADED', `too many pings are under way to ping '${member}'`))
        else this.#waiting.set(id, { resolve, reject, asked })
      })
    })
  }

  settle(id: number, rttMs: number | undefined): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (waiting === undefined) return
    const { member, timeoutMs } = waiting.asked
    if (rttMs !== undefined) waiting.resolve(rttMs)
    else waiting.reject(new ShoalError('UNREACHABLE', `'${member}' did not answer a UDP ping within ${timeoutMs} ms`))
  }

  close(name: string): void {
    for (const { reject } of this.#waiting.values()) reject(closed(name))
    this.#waiting.clear()
  }
}

export function closed(name: string): ShoalError {
  return new ShoalError('CLOSED', `node '${name}' is closed`)
}

function refuse(code: 'INVALID_ARGUMENT', message: string): Promise<never> {
  return Promise.reject(new ShoalError(code, message))
}
