/** The table of docs/memberlist-parity.md must not rot: every test that it names is there. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const ROWS = 53

interface Row {
  readonly number: number
  readonly tests: readonly { readonly file: string; readonly name: string }[]
  readonly remark: string
}

const root = new URL('../../', import.meta.url)
const text = readFileSync(new URL('docs/memberlist-parity.md', root), 'utf8')
const rows: readonly Row[] = text.split('\n').flatMap((line) => {
  const cells = /^\| (\d+) \|(.*)\|(.*)\|(.*)\|(.*)\|$/.exec(line)
  if (cells === null) return []
  const [, number = '', , , tests = '', remark = ''] = cells
  const named = tests.split('<br>').flatMap((test) => {
    const parts = /^`(.+?)`: (.+)$/.exec(test.trim())
    return parts === null ? [] : [{ file: parts[1] ?? '', name: parts[2] ?? '' }]
  })
  return [{ number: Number(number), tests: named, remark: remark.trim() }]
})

/** True if the file has a test of this name: the text in quotes of any kind, first in the brackets of a call. */
function hasTest(file: string, name: string): boolean {
  const url = new URL(file, root)
  if (!existsSync(url)) return false
  const source = readFileSync(url, 'utf8')
  return ["'", '"', '`'].some((quote) => {
    for (let at = source.indexOf(quote + name + quote); at >= 0; at = source.indexOf(quote + name + quote, at + 1)) {
      if (source.slice(0, at).trimEnd().endsWith('(')) return true
    }
    return false
  })
}

it('each behaviour has its row, with a test or the reason why it is left out', () => {
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: ROWS }, (_, index) => index + 1))
  const bare = rows.filter(({ tests, remark }) => tests.length === 0 && !remark.startsWith('Left out: '))
  expect(bare.map(({ number }) => number)).toEqual([])
})

describe.each(rows.filter(({ tests }) => tests.length > 0))('row $number', ({ tests }) => {
  it.each(tests)('$file: $name', ({ file, name }) => {
    expect(hasTest(file, name), `${file} has no such test`).toBe(true)
  })
})

it('a test that there is not is found missing', () => {
  expect(hasTest('test/unit/parity-table.test.ts', 'a test that there is not is found missing')).toBe(true)
  expect(hasTest('test/unit/parity-table.test.ts', 'a test that nobody wrote')).toBe(false)
  expect(hasTest('test/unit/no-such-file.test.ts', 'anything')).toBe(false)
})
