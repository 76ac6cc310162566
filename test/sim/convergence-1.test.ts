/** Half of the twenty seeds; the other half is in a file of its own, so that two cores share the work. */
import { expect, it } from 'vitest'
import { sweep } from './sweep.js'

it('100 nodes converge from one seed and agree again after crashes, restarts and 20 % loss (seeds 1 to 10)', () => {
  expect(sweep({ scenario: 'chaos', nodes: 100, loss: 0.2, firstSeed: 1, seeds: 10 }).failures).toEqual([])
}, 600_000)
