/**
 * Boot ids order the lives of one node name: 12 hex digits of the start time in ms, then 8 random ones. Fixed width and
 * lower case make plain string comparison the order. Knows neither clock nor randomness of its own.
 */
import type { Random } from '../random.js'
import { randomInt } from '../random.js'

const TIME_DIGITS = 12
const RANDOM_DIGITS = 8
const TIME_MAX = 0xffff_ffff_ffff
const BOOT_ID = /^[0-9a-f]{20}$/

/** A boot id for a process that started at `nowMs` (wall clock). */
export function makeBootId(nowMs: number, random: Random): string {
  const time = Math.min(TIME_MAX, Math.max(0, Math.floor(nowMs)))
  return hex(time, TIME_DIGITS) + hex(randomInt(random, 0x1_0000_0000), RANDOM_DIGITS)
}

export function isBootId(text: string): boolean {
  return BOOT_ID.test(text)
}

/**
 * A boot id strictly above `seen`, for a node that finds its name in the cluster under an id that is not below its own
 * (a clock stepped back). `undefined` when there is none above, which only a forged id can bring about.
 */
export function raisedBootId(seen: string, random: Random): string | undefined {
  const time = Number.parseInt(seen.slice(0, TIME_DIGITS), 16)
  if (time < TIME_MAX) return makeBootId(time + 1, random)
  const low = Number.parseInt(seen.slice(TIME_DIGITS), 16)
  return low < 0xffff_ffff ? hex(TIME_MAX, TIME_DIGITS) + hex(low + 1, RANDOM_DIGITS) : undefined
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
