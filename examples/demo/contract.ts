/** The service of the demo, described once for those who provide it and those who call it. */
import { type Contract, defineService, type Method, method, type ServiceClient } from '../../src/index.js'

export interface Quote {
  readonly item: string
  readonly cents: number
  /** The node that answered. */
  readonly servedBy: string
}

export const Prices: Contract<{ quote: Method<[item: string], Quote> }> = defineService(
  'prices',
  { version: '1.0.0' },
  {
    // Asking for a price twice does no harm, so a call whose node dies may be repeated on another.
    quote: method<[item: string], Quote>({ idempotent: true, timeout: 2_000 }),
  },
)
export type PricesClient = ServiceClient<typeof Prices>
