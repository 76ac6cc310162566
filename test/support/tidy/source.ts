/** Source files as the checkers see them: parsed text, and what an offence looks like. Touches no disk. */
import ts from 'typescript'

export interface Source {
  /** Relative to the repository, with forward slashes. */
  readonly path: string
  readonly text: string
  readonly tree: ts.SourceFile
}

export interface Offence {
  readonly path: string
  readonly line: number
  readonly rule: string
  readonly detail: string
}

export function parse(path: string, text: string): Source {
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true) }
}

/** Many sources at once, for tests that write them as strings. */
export function parseAll(files: Readonly<Record<string, string>>): Source[] {
  return Object.entries(files).map(([path, text]) => parse(path, text))
}

/** An offence at a node, or at the top of the file without one. */
export function offence(source: Source, rule: string, detail: string, at?: ts.Node): Offence {
  const line = at === undefined ? 1 : lineOf(source.tree, at.getStart(source.tree))
  return { path: source.path, line, rule, detail }
}

export function lineOf(tree: ts.SourceFile, position: number): number {
  return tree.getLineAndCharacterOfPosition(position).line + 1
}

/** Visits a node and everything below it; `false` from the visitor leaves out what is below. */
export function walk(node: ts.Node, visit: (node: ts.Node) => boolean | undefined): void {
  if (visit(node) === false) return
  ts.forEachChild(node, (child) => walk(child, visit))
}

/** One line per offence, in the order of the files. */
export function report(offences: readonly Offence[]): string {
  return [...offences]
    .sort((a, b) => a.path.localeCompare(b.path) || a.line - b.line)
    .map(({ path, line, rule, detail }) => `${path}:${line} ${rule}: ${detail}`)
    .join('\n')
}
