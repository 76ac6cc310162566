/** Thousands of calls in a process of its own; the millions are in `rpc-counts.full.test.ts`. */
import { it } from 'vitest'
import { expectNothingLeft } from '../support/rpc-counts.js'

it('10,000 calls at once on one connection are all answered, and 20,000 more leave nothing', async () => {
  await expectNothingLeft({ concurrent: 10_000, calls: 20_000 })
})
