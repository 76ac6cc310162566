import { expect, it } from 'vitest'
import { CallerPlaces } from '../../src/rpc/caller-places.js'
import { Load } from '../../src/rpc/load.js'

it('a connection that outlives thousands of services counts among the callers of few of them', () => {
  const caller = new CallerPlaces()
  const busy = new Load()
  busy.add(caller)
  const services = Array.from({ length: 5_000 }, () => new Load())
  for (const service of services) {
    service.add(caller)
    service.remove(caller)
  }
  const counted = (): number => services.reduce((sum, { callers }) => sum + callers, 0)
  expect(counted()).toBeLessThan(100)
  expect(counted()).toBeGreaterThan(0)
  expect([busy.callers, caller.at(busy).count]).toEqual([1, 1])
  busy.remove(caller)
  expect(caller.at(busy).count).toBe(0)
  caller.close()
  expect([counted(), busy.callers]).toEqual([0, 0])
})
