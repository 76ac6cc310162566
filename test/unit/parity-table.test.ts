/** The table of docs/memberlist-parity.md must not rot: every test that it names is there. */
import { describe, expect, it } from 'vitest'
import { bareRows, hasTest, type TableRow, tableRows } from '../support/test-table.js'

const ROWS = 53

const rows = tableRows('docs/memberlist-parity.md', /^\d+$/)

it('each behaviour has its row, with a test or the reason why it is left out', () => {
  expect(rows.map(({ id }) => Number(id))).toEqual(Array.from({ length: ROWS }, (_, index) => index + 1))
  expect(bareRows(rows, 'Left out: ')).toEqual([])
})

describe.each(rows.filter(({ tests }) => tests.length > 0))('row $id', ({ tests, unread }) => {
  it.each(tests)('$file: $name', (test) => {
    expect(hasTest(test), `${test.file} has no such test`).toBe(true)
  })

  it('names nothing but tests', () => {
    expect(unread).toEqual([])
  })
})

it('a row without a test and without an excuse that says something is found bare', () => {
  const row = (id: string, remark: string): TableRow => ({ id, theirs: '', ours: '', tests: [], unread: [], remark })
  const tested = { ...row('tested', ''), tests: [{ file: 'a', name: 'b' }] }
  const rows = [tested, row('empty', ''), row('excused', 'Later: soon'), row('word', 'Later: '), row('chat', 'Well')]
  expect(bareRows(rows, 'Later: ')).toEqual(['empty', 'word', 'chat'])
})

it('a test that there is not is found missing', () => {
  const file = 'test/unit/parity-table.test.ts'
  expect(hasTest({ file, name: 'a test that there is not is found missing' })).toBe(true)
  expect(hasTest({ file, name: 'a test that nobody wrote' })).toBe(false)
  expect(hasTest({ file: 'test/unit/no-such-file.test.ts', name: 'anything' })).toBe(false)
})
