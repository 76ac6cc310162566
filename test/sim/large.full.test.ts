import { expect, it } from 'vitest'
import { sweep } from './sweep.js'

it('250 nodes assemble from one seed and see everybody who leaves', () => {
  expect(sweep({ scenario: 'leave', nodes: 250, loss: 0, firstSeed: 1, seeds: 1 }).failures).toEqual([])
}, 120_000)
