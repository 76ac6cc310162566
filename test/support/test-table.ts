/**
 * Tables in the documentation that name tests: rows of five cells, `| id | theirs | ours | tests | remark |`, where the
 * fourth names tests as `` `file`: title ``, several of them parted by `<br>`. Reads them, and finds whether a test exists.
 */
import { existsSync, readFileSync } from 'node:fs'

export interface NamedTest {
  readonly file: string
  readonly name: string
}

export interface TableRow {
  readonly id: string
  readonly theirs: string
  readonly ours: string
  readonly tests: readonly NamedTest[]
  /** What stands in the fourth cell and is no test. */
  readonly unread: readonly string[]
  readonly remark: string
}

const root = new URL('../../', import.meta.url)

/** The rows of all tables of that document whose id has this form. */
export function tableRows(document: string, id: RegExp): readonly TableRow[] {
  return readFileSync(new URL(document, root), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const cells = /^\| (\S+) \|(.*)\|(.*)\|(.*)\|(.*)\|$/.exec(line)
      if (cells === null || !id.test(cells[1] ?? '')) return []
      const [, found = '', theirs = '', ours = '', tests = '', remark = ''] = cells.map((cell) => cell.trim())
      return [{ id: found, theirs, ours, ...readTests(tests), remark }]
    })
}

/** Those of these rows that neither name a test nor have a remark that begins with one of these words. */
export function bareRows(rows: readonly TableRow[], ...excuses: readonly string[]): readonly string[] {
  const isBare = ({ tests, remark }: TableRow): boolean =>
    tests.length === 0 && !excuses.some((excuse) => remark.startsWith(excuse) && remark.length > excuse.length)
  return rows.filter(isBare).map(({ id }) => id)
}

/** True if the file has a test of this name: the text in quotes of any kind, first in the brackets of a call. */
export function hasTest({ file, name }: NamedTest): boolean {
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

function readTests(cell: string): Pick<TableRow, 'tests' | 'unread'> {
  const tests: NamedTest[] = []
  const unread: string[] = []
  for (const text of cell.split('<br>').map((each) => each.trim())) {
    const [, file, name] = /^`(.+?)`: (.+)$/.exec(text) ?? []
    if (file !== undefined && name !== undefined) tests.push({ file, name })
    else if (text !== '' && text !== '—') unread.push(text)
  }
  return { tests, unread }
}
