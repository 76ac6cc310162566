/** Checked by `tsc --noEmit`: the types of streams, on both sides. */
import { expectTypeOf } from 'vitest'
import { z } from 'zod'
import { defineService, method, type ServiceClient, type ServiceImpl, type ShoalNode, stream } from '../../src/index.js'

declare const node: ShoalNode

const Feed = defineService(
  'feed',
  { version: '1.0.0' },
  {
    watch: stream<[since: number], { readonly id: string }>({ timeout: Number.POSITIVE_INFINITY, itemTimeout: 5_000 }),
    parsed: stream({ input: z.coerce.number<string>(), output: z.string().transform((text) => text.length) }),
    tuple: stream({ args: z.tuple([z.string(), z.number()]), output: z.boolean() }),
    double: stream<[numbers: AsyncIterable<number>], number>(),
    upload: method<[name: string, chunks: AsyncIterable<Uint8Array>], number>(),
    bare: stream(),
  },
)

type Client = ServiceClient<typeof Feed>
type Items<Item> = AsyncGenerator<Item, void, undefined>
expectTypeOf<Client['watch']>().toEqualTypeOf<(since: number) => Items<{ readonly id: string }>>()
expectTypeOf<Client['parsed']>().toEqualTypeOf<(input: string) => Items<number>>()
expectTypeOf<Client['tuple']>().toEqualTypeOf<(...args: [string, number]) => Items<boolean>>()
expectTypeOf<Client['double']>().toEqualTypeOf<(numbers: AsyncIterable<number>) => Items<number>>()
expectTypeOf<Client['upload']>().toEqualTypeOf<(name: string, chunks: AsyncIterable<Uint8Array>) => Promise<number>>()
expectTypeOf<Client['bare']>().toEqualTypeOf<() => Items<unknown>>()

const impl: ServiceImpl<typeof Feed> = {
  async *watch(since) {
    expectTypeOf(since).toBeNumber()
    yield { id: 'x' }
  },
  async *parsed(input) {
    expectTypeOf(input).toBeNumber()
    yield 'text'
  },
  async *tuple(name, count) {
    expectTypeOf([name, count] as const).toEqualTypeOf<readonly [string, number]>()
    yield true
  },
  async *double(numbers) {
    for await (const number of numbers) yield number * 2
  },
  async upload(_name, chunks) {
    let bytes = 0
    for await (const chunk of chunks) bytes += chunk.length
    return bytes
  },
  async *bare() {
    yield 1
  },
}
void node.provide(Feed, impl)

// @ts-expect-error a promise is no stream
void ({ ...impl, watch: async () => ({ id: 'x' }) } satisfies ServiceImpl<typeof Feed>)
// @ts-expect-error items of another type
void ({ ...impl, watch: async function* () { yield 5 } } satisfies ServiceImpl<typeof Feed>) // biome-ignore format: one line

const feed = node.stub(Feed)
for await (const item of feed.$with({ itemTimeout: 100 }).watch(0)) expectTypeOf(item.id).toBeString()
// @ts-expect-error its argument is a number
feed.watch('0')
// @ts-expect-error a stream is no promise
feed.watch(0).then()
// @ts-expect-error the schema and the type have to agree
stream<[since: number], string>({ output: z.number() })
expectTypeOf(node.streamCb<string>('feed', 'watch', [0], { itemTimeout: 5 })).toEqualTypeOf<Items<string>>()
