/** Rules of form: file names, header comments, debts in comments, and language features that this project does without. */
import ts from 'typescript'
import { lineOf, type Offence, offence, type Source, walk } from './source.js'

const EMPTY_NAMES = /(^|-)(utils?|helpers?|common|misc|managers?)$|^services?$/
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*\.ts$/
const DEBT = /\b(TODO|FIXME|XXX|HACK)\b/

export function checkFileNames(sources: readonly Source[]): Offence[] {
  return sources.flatMap((source) => {
    const name = source.path.slice(source.path.lastIndexOf('/') + 1)
    if (!KEBAB.test(name)) return [offence(source, 'file-name', `${name} is not kebab-case`)]
    const stem = name.slice(0, name.indexOf('.'))
    return EMPTY_NAMES.test(stem) ? [offence(source, 'file-name', `${name} names no idea`)] : []
  })
}

/** The file begins with a comment of its own, which is not the doc of the first declaration. */
export function checkHeaders(sources: readonly Source[]): Offence[] {
  return sources.flatMap((source) => {
    const start = ts.getShebang(source.text)?.length ?? 0
    const first = ts.getLeadingCommentRanges(source.text, start)?.[0]
    const missing = offence(source, 'header', 'no comment at the top that says what this file decides')
    if (first === undefined || source.text.slice(start, first.pos).trim() !== '') return [missing]
    const statement = source.tree.statements[0]
    const isDoc =
      statement !== undefined &&
      !ts.isImportDeclaration(statement) &&
      !ts.isExportDeclaration(statement) &&
      /^[ \t]*\n?[ \t]*\S/.test(source.text.slice(first.end))
    return isDoc ? [missing] : []
  })
}

export function checkDebts(sources: readonly Source[]): Offence[] {
  return sources.flatMap((source) =>
    commentsOf(source).flatMap(({ text, position }) => {
      const word = DEBT.exec(text)
      if (word === null) return []
      const line = lineOf(source.tree, position + word.index)
      return [{ path: source.path, line, rule: 'debt', detail: `${word[0]} in a comment: make it an issue` }]
    }),
  )
}

/** `export *`, `!` and `any`: each lets something through unseen. */
export function checkFeatures(sources: readonly Source[]): Offence[] {
  return eachNode(sources, (node) => {
    if (ts.isExportDeclaration(node) && (node.exportClause === undefined || ts.isNamespaceExport(node.exportClause)))
      return ['export-star', 'name what is exported']
    if (ts.isNonNullExpression(node)) return ['non-null', 'narrow the value instead of asserting it']
    if ((ts.isPropertyDeclaration(node) || ts.isVariableDeclaration(node)) && node.exclamationToken !== undefined)
      return ['non-null', 'give the value in the constructor']
    if (node.kind === ts.SyntaxKind.AnyKeyword) return ['any', 'use unknown and narrow it']
    return undefined
  })
}

/** Tests that are switched off or hide the others, and module mocks. `skipIf` and `runIf` state a condition and may stay. */
export function checkTests(sources: readonly Source[]): Offence[] {
  return eachNode(sources, (node) => {
    if (!ts.isPropertyAccessExpression(node)) return undefined
    const root = rootOf(node)
    const member = node.name.text
    if (['it', 'test', 'describe', 'suite'].includes(root) && ['only', 'skip', 'todo', 'fails'].includes(member))
      return ['disabled-test', `${root}.${member}`]
    if (root === 'vi' && ['mock', 'doMock'].includes(member)) return ['module-mock', `vi.${member}`]
    return undefined
  })
}

function eachNode(
  sources: readonly Source[],
  check: (node: ts.Node) => readonly [rule: string, detail: string] | undefined,
): Offence[] {
  return sources.flatMap((source) => {
    const found: Offence[] = []
    walk(source.tree, (node) => {
      const wrong = check(node)
      if (wrong !== undefined) found.push(offence(source, wrong[0], wrong[1], node))
      return undefined
    })
    return found
  })
}

/** The first name of `it.concurrent.only` or `describe.each(…).only`. */
function rootOf(node: ts.Expression): string {
  if (ts.isPropertyAccessExpression(node) || ts.isCallExpression(node)) return rootOf(node.expression)
  return ts.isIdentifier(node) ? node.text : ''
}

/** Comments by the gaps between tokens, so that the text of strings and templates is never taken for one. */
function commentsOf(source: Source): { text: string; position: number }[] {
  const found = new Map<number, string>()
  const visit = (node: ts.Node): void => {
    const children = node.getChildren(source.tree)
    if (children.length === 0)
      for (const { pos, end } of ts.getLeadingCommentRanges(source.text, node.pos) ?? [])
        found.set(pos, source.text.slice(pos, end))
    for (const { pos, end } of ts.getTrailingCommentRanges(source.text, node.end) ?? [])
      found.set(pos, source.text.slice(pos, end))
    for (const child of children) visit(child)
  }
  visit(source.tree)
  return [...found].map(([position, text]) => ({ position, text }))
}
