/** Size budgets: lines of files and functions, parameters, exports, nesting. The numbers are in `layers.ts`. */
import ts from 'typescript'
import { type Budgets, isDoor } from './layers.js'
import { lineOf, type Offence, offence, type Source, walk } from './source.js'

export function checkFileLength({ fileLinesMax }: Budgets, sources: readonly Source[]): Offence[] {
  return sources.flatMap((source) => {
    const lines = source.text.trimEnd().split('\n').length
    return lines > fileLinesMax ? [offence(source, 'file-length', `${lines} lines, at most ${fileLinesMax}`)] : []
  })
}

export function checkFunctions(
  { functionLinesMax, parameterCountMax }: Budgets,
  sources: readonly Source[],
): Offence[] {
  return eachFunction(sources, (source, node) => {
    const lines = lineOf(source.tree, node.end) - lineOf(source.tree, node.getStart(source.tree)) + 1
    const count = node.parameters.filter(({ name }) => name.getText(source.tree) !== 'this').length
    const found: Offence[] = []
    if (lines > functionLinesMax)
      found.push(
        offence(source, 'function-length', `${nameOf(node)}: ${lines} lines, at most ${functionLinesMax}`, node),
      )
    if (count > parameterCountMax)
      found.push(offence(source, 'parameters', `${nameOf(node)}: ${count}, at most ${parameterCountMax}`, node))
    return found
  })
}

export function checkExports({ exportCountMax }: Budgets, sources: readonly Source[]): Offence[] {
  return sources.flatMap((source) => {
    const count = source.tree.statements.reduce((sum, statement) => sum + exportCount(statement), 0)
    if (isDoor(source.path) || count <= exportCountMax) return []
    return [offence(source, 'exports', `${count} at run time, at most ${exportCountMax}`)]
  })
}

/** Depth of control flow and of functions within functions; `else if` adds none, a method begins at zero. */
export function checkNesting({ nestingMax }: Budgets, sources: readonly Source[]): Offence[] {
  return sources.flatMap((source) => {
    const found: Offence[] = []
    const visit = (node: ts.Node, depth: number): void => {
      const below = depthBelow(node, depth)
      if (below > depth && below === nestingMax + 1)
        found.push(offence(source, 'nesting', `deeper than ${nestingMax}`, node))
      ts.forEachChild(node, (child) => visit(child, below))
    }
    visit(source.tree, 0)
    return found
  })
}

function depthBelow(node: ts.Node, depth: number): number {
  if (ts.isFunctionDeclaration(node) && ts.isSourceFile(node.parent)) return 0
  if (ts.isClassElement(node)) return 0
  if (ts.isArrowFunction(node) || ts.isFunctionExpression(node)) {
    const isTopLevel = ts.isVariableDeclaration(node.parent) && ts.isSourceFile(node.parent.parent.parent.parent)
    return isTopLevel || !ts.isBlock(node.body) ? depth : depth + 1
  }
  if (ts.isIfStatement(node))
    return ts.isIfStatement(node.parent) && node.parent.elseStatement === node ? depth : depth + 1
  const nests =
    ts.isIterationStatement(node, false) ||
    ts.isSwitchStatement(node) ||
    ts.isTryStatement(node) ||
    ts.isFunctionDeclaration(node)
  return nests ? depth + 1 : depth
}

function exportCount(statement: ts.Statement): number {
  if (ts.isExportAssignment(statement)) return 1
  if (ts.isExportDeclaration(statement)) {
    if (statement.isTypeOnly || statement.exportClause === undefined) return 0
    if (ts.isNamespaceExport(statement.exportClause)) return 1
    return statement.exportClause.elements.filter(({ isTypeOnly }) => !isTypeOnly).length
  }
  const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : []
  if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return 0
  if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) return 0
  return ts.isVariableStatement(statement) ? statement.declarationList.declarations.length : 1
}

function eachFunction(
  sources: readonly Source[],
  check: (source: Source, node: ts.FunctionLikeDeclaration) => readonly Offence[],
): Offence[] {
  return sources.flatMap((source) => {
    const found: Offence[] = []
    walk(source.tree, (node) => {
      if (ts.isFunctionLike(node) && 'body' in node) found.push(...check(source, node as ts.FunctionLikeDeclaration))
      return undefined
    })
    return found
  })
}

function nameOf(node: ts.FunctionLikeDeclaration): string {
  if (ts.isConstructorDeclaration(node)) return 'constructor'
  const named = node.name ?? (ts.isVariableDeclaration(node.parent) ? node.parent.name : undefined)
  return named === undefined ? 'function' : named.getText()
}
