/** The snapshot file of real memberships: what is refused, ignored, written, left alone and emptied. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createNode } from '../../src/index.js'
import { encodeSnapshot, parseSnapshot } from '../../src/membership/snapshot.js'
import { MembershipCluster, type WatchedMembership } from '../support/membership-node.js'
import { rejection } from '../support/test-nodes.js'
import { until } from '../support/until.js'

let folder: string
let path: string
let cluster: MembershipCluster

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-snapshot-'))
  path = join(folder, 'members.json')
  cluster = new MembershipCluster('shop')
})

afterEach(async () => {
  await cluster.closeAll()
  await rm(folder, { recursive: true, force: true })
})

async function read(of = path): Promise<string> {
  return readFile(of, 'utf8').catch(() => '')
}

async function addresses(of = path): Promise<readonly number[] | undefined> {
  const parsed = parseSnapshot(await read(of), 'shop')
  return parsed.ok ? parsed.addresses.map(({ port }) => port).sort() : undefined
}

function portOf({ membership }: WatchedMembership): number {
  return Number(membership.address.split(':').at(-1))
}

async function untilKept(...nodes: readonly WatchedMembership[]): Promise<void> {
  const wanted = JSON.stringify(nodes.map(portOf).sort())
  await until('the file names the live members', async () => JSON.stringify(await addresses()) === wanted)
}

function notices(node: WatchedMembership): readonly string[] {
  return node.notices.flatMap((notice) => (notice.kind === 'snapshot' ? [notice.reason] : []))
}

it('the live members are written, and nothing is when nothing changed', async () => {
  const a = await cluster.start('a', { snapshot: path })
  const b = await cluster.start('b', { seeds: [a.membership.address] })
  await b.membership.joinSeeds()
  await untilKept(b)
  const before = await stat(path)
  expect(before.mode & 0o777).toBe(0o600)
  b.membership.setTags({ role: 'db' }) // a change, but none of the file's
  await a.until((node) => node.membership.member('b')?.tags['role'] === 'db')
  const c = await cluster.start('c', { seeds: [a.membership.address] })
  await c.membership.joinSeeds()
  await untilKept(b, c)
  const after = await stat(path)
  expect(after.ino).not.toBe(before.ino)
  await a.membership.close() // writes once more only if something changed
  expect((await stat(path)).ino).toBe(after.ino)
  expect(await readdir(folder)).toEqual(['members.json'])
})

it('a restarted node rejoins by its snapshot alone, and counts as joined', async () => {
  const a = await createNode({ cluster: 'shop', name: 'a', bind: '127.0.0.1:0' })
  const options = { cluster: 'shop', name: 'b', bind: '127.0.0.1:0', snapshot: path, requireSeed: true }
  const b = await createNode({ ...options, seeds: [a.address] })
  await b.close()
  expect(await read()).toContain(a.address)
  const again = await createNode({ ...options, bind: b.address, seeds: ['127.0.0.1:1'] })
  expect(again.members().map(({ name }) => name)).toContain('a')
  await Promise.all([a.close(), again.close()])
  expect(await rejection(createNode({ ...options, snapshot: join(folder, 'other') }))).toMatchObject({
    code: 'JOIN_FAILED',
  })
})

it('a rejoin goes on until somebody is there', async () => {
  const gone = await cluster.start('gone')
  const { address } = gone.membership
  await gone.membership.close()
  await writeFile(path, encodeSnapshot('shop', [{ name: 'x', address }]))
  const a = await cluster.start('a', { snapshot: path })
  const [failed] = await a.membership.joinSeeds()
  expect(failed).toMatchObject({ seed: 'snapshot', address, error: expect.stringContaining('ECONNREFUSED') })
  await cluster.start('back', { bind: address })
  await a.untilState('back', 'alive')
})

it('of many former members, most of them gone, the one that is there is found in the first pass', async () => {
  const a = await cluster.start('a')
  const gone = Array.from({ length: 200 }, (_, i) => ({ name: `${i}`, address: `127.4.0.${i + 1}:9` }))
  await writeFile(path, encodeSnapshot('shop', [...gone, { name: 'a', address: a.membership.address }]))
  const b = await cluster.start('b', { snapshot: path })
  await b.membership.joinSeeds('first')
  await b.untilState('a', 'alive')
  await untilKept(a)
})

it('leave empties it, so that the node does not come back by itself, and what happens later does not fill it', async () => {
  const a = await cluster.start('a', { snapshot: path })
  const b = await cluster.start('b', { seeds: [a.membership.address] })
  await b.membership.joinSeeds()
  await untilKept(b)
  await a.membership.leave(2_000)
  expect(await addresses()).toEqual([])
  await a.membership.close()
  expect(await addresses()).toEqual([])
  const again = await cluster.start('a', { snapshot: path })
  expect(await again.membership.joinSeeds()).toEqual([])
})

it('a node that loses sight of all others keeps their addresses', async () => {
  const a = await cluster.start('a', { snapshot: path })
  const b = await cluster.start('b', { seeds: [a.membership.address] })
  await b.membership.joinSeeds()
  await untilKept(b)
  await b.membership.close()
  await a.untilState('b', 'dead', 15_000)
  await a.membership.close()
  expect(await addresses()).toEqual([portOf(b)])
})

it.each([
  ['garbage', 'it is no snapshot'],
  ['', 'it is no snapshot'],
  [encodeSnapshot('shop', [{ name: 'x', address: '10.0.0.1:1' }]).slice(0, -9), 'it is no snapshot'],
  [encodeSnapshot('office', []), 'it is of cluster "office"'],
  ['x'.repeat(262_145), 'it is larger than 262144 bytes'],
])('a file that makes no sense is ignored, told of and later replaced: %#', async (text, reason) => {
  await writeFile(path, text)
  const a = await cluster.start('a', { snapshot: path })
  expect(await a.membership.joinSeeds()).toEqual([])
  expect(notices(a)).toEqual([expect.stringContaining(`ignored: ${reason}`)])
  const b = await cluster.start('b', { seeds: [a.membership.address] })
  await b.membership.joinSeeds()
  await untilKept(b)
})

it('createNode tells of an ignored file as a fault, once the caller could listen', async () => {
  await writeFile(path, 'garbage')
  const node = await createNode({ cluster: 'shop', bind: '127.0.0.1:0', snapshot: path })
  const fault = await new Promise<Error>((resolve) => node.on('fault', resolve))
  expect(fault.message).toContain('it is no snapshot')
  await node.close()
})

it('a path that can never be written to is refused at once, by name', async () => {
  await writeFile(join(folder, 'file'), '')
  const bad = [folder, join(folder, 'missing', 'x'), join(folder, 'file', 'x'), '/dev/null', '/proc/x', '', 7]
  for (const snapshot of bad as string[]) {
    const failure = await rejection(cluster.start('a', { snapshot }))
    expect(failure, snapshot).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining('snapshot') })
    if (typeof snapshot === 'string') expect((failure as Error).message).toContain(snapshot)
  }
  const failure = await rejection(createNode({ cluster: 'shop', bind: '127.0.0.1:0', snapshot: folder }))
  expect(failure).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining('it is a directory') })
})

it('a disk that fails later harms nothing: it is told once, counted, and the node lives on', async () => {
  const inner = join(folder, 'inner')
  await mkdir(inner)
  const a = await cluster.start('a', { snapshot: join(inner, 'x') })
  await rm(inner, { recursive: true })
  const b = await cluster.start('b', { seeds: [a.membership.address] })
  await b.membership.joinSeeds()
  await until('the failure was counted', () => a.membership.stats().snapshotErrors === 1)
  expect(notices(a)).toEqual([expect.stringContaining('not written: ENOENT')])
  await a.untilState('b', 'alive')
  expect(await a.membership.leave(2_000)).toEqual({ told: true })
  await a.membership.close()
  expect(notices(a)).toHaveLength(1)
})

it('what could not be written is written later, at a close for one', async () => {
  const inner = join(folder, 'inner')
  await mkdir(inner)
  const a = await cluster.start('a', { snapshot: join(inner, 'x') })
  await rm(inner, { recursive: true })
  const b = await cluster.start('b', { seeds: [a.membership.address] })
  await b.membership.joinSeeds()
  await until('the failure was counted', () => a.membership.stats().snapshotErrors === 1)
  await mkdir(inner)
  await a.membership.close()
  expect(await addresses(join(inner, 'x'))).toEqual([portOf(b)])
})

it('two nodes with one path do not harm each other: the file is always one of what either wrote', async () => {
  const a = await cluster.start('a', { snapshot: path })
  const b = await cluster.start('b', { snapshot: path, seeds: [a.membership.address] })
  await b.membership.joinSeeds()
  await until('one of them has written', async () => (await addresses())?.length === 1)
  await Promise.all([a.membership.close(), b.membership.close()])
  expect([portOf(a), portOf(b)]).toContain((await addresses())?.[0])
  expect(await readdir(folder)).toEqual(['members.json'])
})

it('what a crash left half written is cleared away at the next start, if it is old', async () => {
  const [old, young] = [`${path}.0123456789ab.tmp`, `${path}.ba9876543210.tmp`]
  for (const each of [old, young, `${path}.mine.tmp`]) await writeFile(each, '')
  await utimes(old, new Date(0), new Date(0))
  await cluster.start('a', { snapshot: path })
  expect((await readdir(folder)).sort()).toEqual(['members.json.ba9876543210.tmp', 'members.json.mine.tmp'])
})

it('a link is followed, and a file that may only be read is replaced', async () => {
  await writeFile(path, encodeSnapshot('shop', []))
  await chmod(path, 0o400)
  const link = join(folder, 'link')
  await symlink(path, link)
  const a = await cluster.start('a', { snapshot: link })
  const b = await cluster.start('b', { seeds: [a.membership.address] })
  await b.membership.joinSeeds()
  await untilKept(b)
  expect(await read(link)).toBe(await read(path))
})
