import { expect, it } from 'vitest'
import { type Versioned, versionConflict, versionedOf } from '../../src/membership/versions.js'
import { WIRE_STATE } from '../../src/membership/wire/messages.js'

const node = (name: string, vsn: readonly number[], alive = true): Versioned => ({
  name,
  vsn: Uint8Array.from(vsn),
  alive,
})

it('nodes with the same versions agree', () => {
  expect(versionConflict([node('a', [1, 5, 2, 0, 0, 0]), node('b', [1, 5, 2, 0, 0, 0])])).toBeUndefined()
  expect(versionConflict([node('a', [1, 5, 2, 2, 5, 4]), node('b', [1, 5, 2, 2, 5, 5])])).toBeUndefined()
  expect(versionConflict([])).toBeUndefined()
})

it('a plain node cannot join a serf cluster', () => {
  const conflict = versionConflict([node('s1', [1, 5, 2, 2, 5, 5]), node('me', [1, 5, 2, 0, 0, 0])])
  expect(conflict).toMatch(/'s1'.*delegate.*5.*\[2, 0\]/)
})

it('a node that understands too little of what one agent speaks is refused, and the agent is named', () => {
  const nodes = [node('s3', [1, 5, 2, 2, 5, 5]), node('new', [1, 5, 2, 2, 4, 4])]
  expect(versionConflict(nodes)).toMatch(/'s3' delegate protocol version 5 is outside \[2, 4\]/)
})

it('a protocol version outside what all alive nodes understand is refused', () => {
  const nodes = [node('a', [1, 5, 2, 0, 0, 0]), node('b', [3, 5, 4, 0, 0, 0])]
  expect(versionConflict(nodes)).toMatch(/'a' protocol version 2 is outside \[3, 5\]/)
  expect(versionConflict([node('a', [1, 5, 2, 0, 0, 0]), node('b', [1, 3, 4, 0, 0, 0])])).toMatch(/'b'.*4.*\[1, 3\]/)
})

it('a third node makes two that agree with each other disagree', () => {
  const a = node('a', [1, 3, 3, 0, 0, 0])
  const b = node('b', [1, 5, 3, 0, 0, 0])
  expect(versionConflict([a, b])).toBeUndefined()
  expect(versionConflict([a, b, node('c', [1, 2, 2, 0, 0, 0])])).toMatch(/\[1, 2\]/)
})

it('the dead set no limits but must keep to them', () => {
  const alive = node('a', [1, 5, 2, 2, 5, 4])
  expect(versionConflict([alive, node('gone', [4, 5, 4, 4, 4, 4], false)])).toBeUndefined()
  expect(versionConflict([alive, node('gone', [1, 5, 2, 0, 0, 0], false)])).toMatch(/'gone' delegate/)
})

it('records without versions are left out', () => {
  expect(versionConflict([node('a', [1, 5, 2, 2, 5, 4]), node('old', [])])).toBeUndefined()
})

it('only a record in state alive counts as alive', () => {
  const vsn = Uint8Array.of(1, 5, 2, 0, 0, 0)
  const alive = Object.values(WIRE_STATE).map((state) => versionedOf({ name: 'a', vsn, state }).alive)
  expect(alive).toEqual([true, false, false, false])
})
