/** Checked by `tsc --noEmit`: what callers and providers of a contract can write, and what they cannot. */
import { expectTypeOf } from 'vitest'
import { defineService, method, type ServiceClient, type ServiceImpl } from '../../src/rpc/index.js'
import type { AnyApi, ApiStub, ContractStub } from '../../src/rpc/stub.js'

interface User {
  readonly id: string
  readonly name: string
}

const Users = defineService(
  'users',
  { version: '1.2.0' },
  {
    get: method<[id: string], User | null>({ idempotent: true, timeout: 2_000 }),
    save: method<[user: User, dryRun?: boolean], { id: string }>(),
    ping: method(),
  },
)

declare const client: ServiceClient<typeof Users>
expectTypeOf(client.get).toEqualTypeOf<(id: string) => Promise<User | null>>()
expectTypeOf(client.save).toEqualTypeOf<(user: User, dryRun?: boolean) => Promise<{ id: string }>>()
expectTypeOf(client.ping).toEqualTypeOf<() => Promise<void>>()
expectTypeOf<keyof ServiceClient<typeof Users>>().toEqualTypeOf<'get' | 'save' | 'ping'>()

declare const stub: ContractStub<typeof Users>
expectTypeOf(stub.$with({ timeout: 5 }).get('42')).toEqualTypeOf<Promise<User | null>>()
expectTypeOf(stub).toExtend<ServiceClient<typeof Users>>()
// @ts-expect-error an id is a string
void stub.get(42)
// @ts-expect-error one argument too many
void stub.get('42', 1)
// @ts-expect-error not in the contract
void stub.remove('42')
// @ts-expect-error no such option
stub.$with({ timeoutMs: 5 })

const impl: ServiceImpl<typeof Users> = {
  get(id) {
    expectTypeOf(id).toBeString()
    return { id, name: 'x' }
  },
  async save(user) {
    return { id: user.id }
  },
  ping() {},
}
expectTypeOf(impl.get).returns.toEqualTypeOf<User | null | Promise<User | null>>()

class UsersClass implements ServiceImpl<typeof Users> {
  get(id: string): Promise<User | null> {
    return Promise.resolve({ id, name: 'x' })
  }
  save({ id }: User): { id: string } {
    return { id }
  }
  ping(): void {}
}
expectTypeOf<UsersClass>().toExtend<ServiceImpl<typeof Users>>()

// @ts-expect-error ping is missing
expectTypeOf({ get: () => null, save: () => ({ id: '' }) }).toExtend<ServiceImpl<typeof Users>>()
// @ts-expect-error get must give a User or null
expectTypeOf({ ...impl, get: () => 5 }).toExtend<ServiceImpl<typeof Users>>()

interface BillingApi {
  charge(amount: number): { receipt: string }
  refund(receipt: string): Promise<boolean>
}
declare const billing: ApiStub<BillingApi>
expectTypeOf(billing.charge(5)).toEqualTypeOf<Promise<{ receipt: string }>>()
expectTypeOf(billing.$with({ nodes: ['a'] }).refund('r')).toEqualTypeOf<Promise<boolean>>()
// @ts-expect-error an amount is a number
void billing.charge('5')

declare const dynamic: ApiStub<AnyApi>
expectTypeOf(dynamic['anything']?.(1, 'x')).toEqualTypeOf<Promise<unknown> | undefined>()
