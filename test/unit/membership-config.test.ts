import { describe, expect, it } from 'vitest'
import { isShoalError } from '../../src/errors.js'
import { PROFILES, resolveSwimConfig, type SwimConfig, versionsFor } from '../../src/membership/config.js'

function failure(make: () => unknown): Error {
  try {
    make()
  } catch (error) {
    expect(isShoalError(error, 'INVALID_OPTION')).toBe(true)
    return error as Error
  }
  throw new Error('nothing was refused')
}

const NUMBERS = (Object.keys(PROFILES.lan) as (keyof SwimConfig)[]).filter((key) => key !== 'vsn')
const MAY_BE_ZERO = ['indirectChecks', 'deadNodeReclaimMs', 'burstPacketsPerSecond']
const WHOLE = ['indirectChecks', 'gossipNodes', 'awarenessMax', 'packetBytesMax', 'queueMax', 'memberMax']

it('the profiles carry the numbers of memberlist, but local retransmits four times', () => {
  const { lan, wan, local } = PROFILES
  expect([lan.probeIntervalMs, lan.probeTimeoutMs, lan.gossipIntervalMs, lan.gossipNodes]).toEqual([1_000, 500, 200, 3])
  expect([lan.suspicionMult, lan.suspicionMaxTimeoutMult, lan.retransmitMult, lan.indirectChecks]).toEqual([4, 6, 4, 3])
  expect([lan.pushPullIntervalMs, lan.streamTimeoutMs, lan.gossipToTheDeadMs]).toEqual([30_000, 10_000, 30_000])
  expect([wan.probeIntervalMs, wan.probeTimeoutMs, wan.gossipIntervalMs, wan.gossipNodes]).toEqual([
    5_000, 3_000, 500, 4,
  ])
  expect([wan.suspicionMult, wan.pushPullIntervalMs, wan.streamTimeoutMs]).toEqual([6, 60_000, 30_000])
  expect([local.probeTimeoutMs, local.gossipIntervalMs, local.indirectChecks]).toEqual([200, 100, 1])
  expect([local.suspicionMult, local.pushPullIntervalMs, local.streamTimeoutMs]).toEqual([3, 15_000, 1_000])
  expect(local.retransmitMult).toBe(4)
  for (const profile of [lan, wan, local])
    expect([profile.awarenessMax, profile.deadNodeReclaimMs]).toEqual([8, 30_000])
})

it.each(['lan', 'wan', 'local'] as const)('profile %s passes its own rules', (profile) => {
  expect(resolveSwimConfig(profile)).toEqual(PROFILES[profile])
})

it('a change goes on top of the profile and leaves the profile alone', () => {
  const config = resolveSwimConfig('lan', { gossipNodes: 5 })
  expect(config.gossipNodes).toBe(5)
  expect(config.probeIntervalMs).toBe(1_000)
  expect(PROFILES.lan.gossipNodes).toBe(3)
})

it.each(['fast', 'toString', ''])("an unknown profile '%s' is refused with the names of those there are", (profile) => {
  const { message } = failure(() => resolveSwimConfig(profile as 'lan'))
  expect(message).toContain(`'${profile}'`)
  for (const name of ['lan', 'wan', 'local']) expect(message).toContain(name)
})

it('a setting that does not exist is refused by its name', () => {
  expect(failure(() => resolveSwimConfig('lan', { gossipNode: 3 } as never)).message).toContain("'gossipNode'")
})

describe.each(NUMBERS)('%s', (key) => {
  const least = MAY_BE_ZERO.includes(key) ? 0 : 1

  it.each([least - 1, Number.NaN, Number.POSITIVE_INFINITY, '5', null, undefined])(
    'refuses %s and says what it was and what it must be',
    (value) => {
      const { message } = failure(() => resolveSwimConfig('lan', { [key]: value } as never))
      expect(message).toContain(key)
      expect(message).toContain(String(value))
      expect(message).toContain(`at least ${least}`)
    },
  )
})

it.each(WHOLE)('%s is a whole number', (key) => {
  expect(failure(() => resolveSwimConfig('lan', { [key]: 2.5 })).message).toMatch(/2\.5.*whole number/)
})

it.each(MAY_BE_ZERO)('%s may be 0', (key) => {
  expect(resolveSwimConfig('lan', { [key]: 0 })).toMatchObject({ [key]: 0 })
})

it('a probe timeout at or above the probe interval is refused with both values', () => {
  for (const probeTimeoutMs of [1_000, 1_001]) {
    const { message } = failure(() => resolveSwimConfig('lan', { probeTimeoutMs }))
    expect(message).toContain(`probeTimeoutMs (${probeTimeoutMs})`)
    expect(message).toContain('below probeIntervalMs (1000)')
  }
  expect(resolveSwimConfig('lan', { probeTimeoutMs: 999 }).probeTimeoutMs).toBe(999)
})

it('the delegate protocol decides the last three version bytes', () => {
  expect(versionsFor('plain')).toEqual([1, 5, 2, 0, 0, 0])
  expect(versionsFor('serf')).toEqual([1, 5, 2, 2, 5, 4])
  expect(versionsFor([1, 3, 2])).toEqual([1, 5, 2, 1, 3, 2])
})

it.each([[[2, 1, 1]], [[0, 3, 4]], [[2, 3, 1]], [[-1, 3, 2]], [[0, 256, 2]], [[0, 1.5, 1]]])(
  'the delegate versions %j are refused with the rule',
  (versions) => {
    const { message } = failure(() => versionsFor(versions as never))
    expect(message).toContain(versions.join(', '))
    expect(message).toContain('min <= current <= max')
  },
)

it.each(['consul', 7, [1, 2], undefined])('the delegate protocol %j is refused with what there is', (protocol) => {
  expect(failure(() => versionsFor(protocol as never)).message).toContain("'plain', 'serf', [min, max, current]")
})
