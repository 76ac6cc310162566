/** Millions of calls, with and without a signal that outlives them all, and what they leave. */
import { it } from 'vitest'
import { expectNothingLeft } from '../support/rpc-counts.js'

it('a million calls, and a million more with one signal, leave heap, handles and listeners as they were', async () => {
  await expectNothingLeft({ concurrent: 10_000, calls: 1_000_000 })
})
