/** Checked by `tsc --noEmit`: the types that schemas give to both sides of a method. */
import { expectTypeOf } from 'vitest'
import { z } from 'zod'
import {
  type Contract,
  defineService,
  type Method,
  method,
  type ServiceClient,
  type ServiceImpl,
  type ShoalNode,
  type StandardSchemaV1,
} from '../../src/index.js'

declare const byHand: StandardSchemaV1<string, number>
declare const node: ShoalNode

const Orders = defineService(
  'orders',
  { version: '1.0.0' },
  {
    place: method({
      input: z.object({ sku: z.string(), count: z.number().default(1) }),
      output: z.object({ id: z.string() }),
      idempotent: true,
    }),
    move: method({ args: z.tuple([z.string(), z.coerce.number<string>()]), output: z.boolean() }),
    parse: method({ input: byHand, output: byHand }),
    list: method({ output: z.array(z.string()) }),
    note: method({ input: z.string().optional() }),
    typed: method<[id: string], { readonly ok: boolean }>({ input: z.string(), output: z.object({ ok: z.boolean() }) }),
    plain: method<[a: number, b?: string], number>({ timeout: 5 }),
    bare: method(),
  },
)

type Client = ServiceClient<typeof Orders>
expectTypeOf<Client['place']>().toEqualTypeOf<
  (input: { sku: string; count?: number | undefined }) => Promise<{ id: string }>
>()
expectTypeOf<Client['move']>().toEqualTypeOf<(...args: [string, string]) => Promise<boolean>>()
expectTypeOf<Client['parse']>().toEqualTypeOf<(input: string) => Promise<number>>()
expectTypeOf<Client['list']>().toEqualTypeOf<() => Promise<string[]>>()
expectTypeOf<Client['note']>().toEqualTypeOf<(input?: string) => Promise<void>>()
expectTypeOf<Client['typed']>().toEqualTypeOf<(id: string) => Promise<{ readonly ok: boolean }>>()
expectTypeOf<Client['plain']>().toEqualTypeOf<(a: number, b?: string) => Promise<number>>()
expectTypeOf<Client['bare']>().toEqualTypeOf<() => Promise<void>>()

// The handler stands behind the schemas: it gets what they give and gives what they take.
type Impl = ServiceImpl<typeof Orders>
expectTypeOf<Parameters<Impl['place']>>().toEqualTypeOf<[input: { sku: string; count: number }]>()
expectTypeOf<Parameters<Impl['move']>>().toEqualTypeOf<[string, number]>()
expectTypeOf<Parameters<Impl['parse']>>().toEqualTypeOf<[input: number]>()
expectTypeOf<ReturnType<Impl['parse']>>().toEqualTypeOf<string | Promise<string>>()

const impl: Impl = {
  place: ({ sku, count }) => ({ id: `${sku}${count.toFixed()}` }),
  move: async (_from, to) => to.toFixed() === '1',
  parse: (value) => String(value),
  list: () => [],
  note() {},
  typed: () => ({ ok: true }),
  plain: (a) => a,
  bare() {},
}
const { plain: _plain, ...lacking } = impl
void node.provide(Orders, impl)
// @ts-expect-error a contract's service needs every method
void node.provide(Orders, lacking)
// @ts-expect-error the result is no id
void node.provide(Orders, { ...impl, place: () => ({ id: 5 }) })
// @ts-expect-error count is a number
void node.provide(Orders, { ...impl, place: (given: { sku: string; count: string }) => ({ id: given.count }) })

const orders = node.stub(Orders, { timeout: 5 })
expectTypeOf(orders.place({ sku: 'a' })).resolves.toEqualTypeOf<{ id: string }>()
expectTypeOf(orders.$with({ headers: { a: 'b' } }).move('a', '1')).resolves.toBeBoolean()
// @ts-expect-error sku is missing
void orders.place({})
// @ts-expect-error no argument at all
void orders.place()
// @ts-expect-error one argument too many
void orders.place({ sku: 'a' }, 1)
// @ts-expect-error the caller writes text, the schema makes a number of it
void orders.move('a', 1)
// @ts-expect-error not in the contract
void orders.cancel('a')

interface BillingApi {
  charge(amount: number): { receipt: string }
}
const billing = node.stub<BillingApi>('billing')
expectTypeOf(billing.charge(5)).resolves.toEqualTypeOf<{ receipt: string }>()
// @ts-expect-error an amount is a number
void billing.charge('5')
// @ts-expect-error not in the interface
void billing.refund()

// @ts-expect-error no schema
method({ input: 5 })
// @ts-expect-error no such option
method({ input: z.string(), timeoutMs: 5 })
// @ts-expect-error args is the schema of a list
method({ args: z.string() })
// @ts-expect-error the schema is of another type
method<[id: string], void>({ input: z.number() })
// @ts-expect-error the schema would give the handler something else than its type says
method<[id: string], void>({ input: byHand })

expectTypeOf(method({ input: byHand })).toExtend<Method>()
expectTypeOf(Orders).toExtend<Contract>()
expectTypeOf(z.string()).toExtend<StandardSchemaV1<string>>()
