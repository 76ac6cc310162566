/** What a seed may be, and how it becomes addresses: with names looked up by a resolver of the test's own. */
import { expect, it } from 'vitest'
import { formatHostPort, type HostPort } from '../../src/address.js'
import { isShoalError } from '../../src/errors.js'
import { isOwnAddress } from '../../src/membership/own-address.js'
import { checkSeeds, parseSeed, type Seeds } from '../../src/membership/seed.js'
import { SeedLookup } from '../../src/membership/seed-lookup.js'
import { seededRandom } from '../../src/random.js'
import { ownV6Address, TestResolver } from '../support/test-resolver.js'

const PORT = 7_946

interface Given {
  readonly resolver?: TestResolver
  readonly isOwn?: (address: HostPort) => boolean
  readonly reaches?: (host: string) => boolean
  readonly timeoutMs?: number
}

function lookupWith({ resolver = new TestResolver(), ...given }: Given = {}): SeedLookup {
  const defaults = {
    isOwn: () => false,
    reaches: () => true,
    random: seededRandom(1),
    defaultPort: PORT,
    timeoutMs: 200,
  }
  return new SeedLookup({ ...defaults, ...given, resolver })
}

async function find(seeds: Seeds, given?: Given): Promise<{ addresses: string[]; failures: Record<string, string> }> {
  const { targets, failures } = await lookupWith(given).find(checkSeeds(seeds, PORT))
  return {
    addresses: targets.map(({ address }) => formatHostPort(address)).sort(),
    failures: Object.fromEntries(failures.map(({ seed, error }) => [seed, error])),
  }
}

it.each([
  ['10.0.0.5:7946', { kind: 'address', to: { host: '10.0.0.5', port: 7946 } }],
  ['10.0.0.5', { kind: 'address', to: { host: '10.0.0.5', port: PORT } }],
  ['[fd00::5]:80', { kind: 'address', to: { host: 'fd00::5', port: 80 } }],
  ['[fd00::5]', { kind: 'address', to: { host: 'fd00::5', port: PORT } }],
  ['node-1.shop:80', { kind: 'address', to: { host: 'node-1.shop', port: 80 } }],
  ['dns://node-1.shop.:80', { kind: 'address', to: { host: 'node-1.shop.', port: 80 } }],
  ['srv://_gossip._udp.shop', { kind: 'srv', name: '_gossip._udp.shop' }],
])('the seed %s is read as what it says', (text, seed) => {
  expect(parseSeed(text, PORT)).toEqual(seed)
})

it.each([
  '',
  ' ',
  'a:0',
  'a:65536',
  'http://a',
  'dns://',
  'srv://',
  'srv://name:80',
  'srv://a b',
  '[::1',
  '[zz::1]:80',
  '[10.0.0.1]:80',
  'x'.repeat(600),
])("the text '%s' is no seed", (text) => {
  const parsed = parseSeed(text, PORT)
  expect(parsed.kind === 'none' ? parsed.problem : parsed).toContain('none of host:port')
})

it.each(['[fe80::1%eth0]:7946', 'fe80::1%eth0', 'dns://[fe80::1%1]:7946'])(
  'the zone of %s is refused by name',
  (text) => {
    const parsed = parseSeed(text, PORT)
    expect(parsed.kind === 'none' ? parsed.problem : parsed).toContain('zone')
  },
)

it.each([
  [['a:0'], "seed 'a:0'"],
  [[7], 'got number'],
  [['[fe80::1%eth0]:1'], 'zone'],
  ['a:1', 'got string'],
  [null, 'got object'],
  [['y'.repeat(600)], `${'y'.repeat(128)}…`],
])('the seeds %j are refused at once with what is wrong', (seeds, words) => {
  const failure = (() => {
    try {
      return checkSeeds(seeds as never, PORT)
    } catch (error) {
      return error
    }
  })()
  expect(isShoalError(failure, 'INVALID_OPTION')).toBe(true)
  expect((failure as Error).message).toContain(words)
})

it('a name means all its addresses of both families, and SRV records bring their own ports', async () => {
  const resolver = new TestResolver()
    .host('pods', '10.0.0.1', 'fd00::1')
    .host('b', '10.0.0.2')
    .host('c', '10.0.0.3', '::ffff:10.0.0.4')
    .srv('_gossip._udp.shop', ['b', 100], ['c', 200], ['missing', 300], ['b', 0])
  const seeds = ['dns://pods:7000', 'srv://_gossip._udp.shop']
  expect(await find(seeds, { resolver })).toEqual({
    addresses: ['10.0.0.1:7000', '10.0.0.2:100', '10.0.0.3:200', '10.0.0.4:200', '[fd00::1]:7000'],
    failures: {},
  })
})

it('each attempt looks the names up again', async () => {
  const resolver = new TestResolver().host('pods', '10.0.0.1')
  const lookup = lookupWith({ resolver })
  const hosts = async (): Promise<string[]> =>
    (await lookup.find(['pods:1'])).targets.map(({ address }) => address.host)
  expect(await hosts()).toEqual(['10.0.0.1'])
  resolver.host('pods', '10.0.0.2')
  expect(await hosts()).toEqual(['10.0.0.2'])
})

it('functions give any form of seed, at once or later, alone or in the list', async () => {
  const resolver = new TestResolver().host('pods', '10.0.0.1').srv('srv', ['pods', 9])
  const later = async (): Promise<string[]> => ['dns://pods:1', 'srv://srv', '[fd00::1]:2']
  const expected = ['10.0.0.1:1', '10.0.0.1:9', '[fd00::1]:2']
  expect((await find(later, { resolver })).addresses).toEqual(expected)
  expect((await find(['10.9.9.9:1', later, () => ['10.8.8.8:1']], { resolver })).addresses).toEqual(
    [...expected, '10.8.8.8:1', '10.9.9.9:1'].sort(),
  )
})

it('a function that throws, rejects, hangs or gives garbage is a line in the report, and the others count', async () => {
  function throwing(): string[] {
    throw new Error('no token')
  }
  const rejecting = (): Promise<string[]> => Promise.reject(new Error('503'))
  const hanging = (): Promise<string[]> => new Promise(() => {})
  const text = (): string[] => 'a:1' as never
  const garbage = (): string[] => ['10.0.0.1:1', 7, null, 'http://x', '[fe80::1%lo]:1'] as never
  const { addresses, failures } = await find([throwing, rejecting, hanging, text, garbage, '10.0.0.2:2'])
  expect(addresses).toEqual(['10.0.0.1:1', '10.0.0.2:2'])
  expect(failures).toMatchObject({
    'function throwing': 'no token',
    'function rejecting': '503',
    'function hanging': 'no answer within 200 ms',
    'function text': 'gave string, not an array of strings',
    '(number)': 'is no string',
    '(null)': 'is no string',
    'http://x': expect.stringContaining('none of host:port'),
    '[fe80::1%lo]:1': expect.stringContaining('zone'),
  })
})

it('of thousands of seeds from a function 64 are looked at, others each time', async () => {
  const all = Array.from({ length: 5_000 }, (_, i) => `10.3.${i >> 8}.${i & 255}:1`)
  const lookup = lookupWith()
  const first = (await lookup.find([() => all])).targets.map(({ seed }) => seed)
  const second = (await lookup.find([() => all])).targets.map(({ seed }) => seed)
  expect([new Set(first).size, new Set(second).size]).toEqual([64, 64])
  expect(new Set([...first, ...second]).size).toBeGreaterThan(100)
})

it('a question that hangs is not asked again while it does', async () => {
  const resolver = new TestResolver().hang('slow')
  const lookup = lookupWith({ resolver, timeoutMs: 30 })
  for (let attempt = 0; attempt < 3; attempt++) {
    const { failures } = await lookup.find(['slow:1', 'slow:2'])
    expect(failures.map(({ error }) => error)).toEqual(Array(2).fill('no answer within 30 ms'))
  }
  expect(resolver.asked).toEqual(['slow'])
})

it('addresses of a family that the socket does not reach are left out; if there are no others, that is the report', async () => {
  const resolver = new TestResolver().host('both', '10.0.0.1', 'fd00::1').host('six', 'fd00::2').host('none')
  const reaches = (host: string): boolean => !host.includes(':')
  const { addresses, failures } = await find(['both:1', 'six:1', 'none:1'], { resolver, reaches })
  expect(addresses).toEqual(['10.0.0.1:1'])
  expect(Object.keys(failures)).toEqual(['six:1'])
  expect(failures['six:1']).toContain('[fd00::2]:1, of another family than the address bound here: bind to [::]:port')
})

it('a seed that is the node itself is neither a target nor a failure', async () => {
  const resolver = new TestResolver().host('me', '10.0.0.1', 'fd00::1')
  const isOwn = ({ host, port }: HostPort): boolean => host === '10.0.0.1' && port === 1
  const reaches = (host: string): boolean => !host.includes(':')
  expect(
    await find(['me:1', '10.0.0.1:1', '[::ffff:10.0.0.1]:1', '[::ffff:a00:1]:1'], { resolver, isOwn, reaches }),
  ).toEqual({
    addresses: [],
    failures: {},
  })
})

it.each([
  ['127.0.0.1:7946', '127.0.0.1:7946', '127.0.0.1:7946', true],
  ['127.0.0.1:7946', '127.0.0.1:7946', '127.0.0.1:7947', false],
  ['127.0.0.1:7946', '127.0.0.1:7946', '127.0.0.2:7946', false],
  ['127.0.0.1:7946', '203.0.113.1:80', '203.0.113.1:80', true],
  ['127.0.0.1:7946', '203.0.113.1:80', '127.0.0.1:7946', true],
  ['127.0.0.1:7946', '203.0.113.1:80', '203.0.113.1:7946', false],
  ['0.0.0.0:7946', '10.0.0.1:7946', '127.0.0.1:7946', true],
  ['0.0.0.0:7946', '10.0.0.1:7946', '127.0.0.99:7946', true],
  ['0.0.0.0:7946', '10.0.0.1:7946', '0.0.0.0:7946', true],
  ['0.0.0.0:7946', '10.0.0.1:7946', '203.0.113.9:7946', false],
  ['0.0.0.0:7946', '10.0.0.1:7946', '[::1]:7946', false],
  ['[::]:7946', '[fd00::1]:7946', '[::1]:7946', true],
  ['[::]:7946', '[fd00::1]:7946', '127.0.0.1:7946', true],
  ['[::1]:7946', '[::1]:7946', '127.0.0.1:7946', false],
])('bound to %s and advertised as %s, that %s is the node itself is %s', (bind, advertised, seed, isOwn) => {
  const [own, told, asked] = [bind, advertised, seed].map((text) => {
    const parsed = parseSeed(text, PORT)
    if (parsed.kind !== 'address') throw new Error(text)
    return parsed.to
  })
  expect(isOwnAddress({ bind: own!, advertised: told! }, asked!)).toBe(isOwn)
})

it('bound to a wildcard, each address of an interface is the node itself', ({ skip }) => {
  const host = ownV6Address()
  if (host === undefined) return skip('no interface has an IPv6 address')
  const advertised = { host: '10.0.0.1', port: PORT }
  expect(isOwnAddress({ bind: { host: '::', port: PORT }, advertised }, { host, port: PORT })).toBe(true)
  expect(isOwnAddress({ bind: { host: '0.0.0.0', port: PORT }, advertised }, { host, port: PORT })).toBe(false)
})
