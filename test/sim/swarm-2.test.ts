/** Half of the fast suites' swarm seeds; the other half is in a file of its own, so that two cores share the work. */
import { expect, it } from 'vitest'
import { sweep } from './sweep.js'

it('8 nodes keep every rule under any mixture of faults, and agree after them (seeds 151 to 300)', () => {
  expect(sweep({ scenario: 'swarm', nodes: 8, loss: 0, firstSeed: 151, seeds: 150 }, true).failures).toEqual([])
}, 480_000)
