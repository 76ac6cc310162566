/**
 * Who imports whom: direction between the modules, their doors, sole importers, and cycles. Type imports count for
 * direction, since they couple as much; they do not count for cycles, since they are gone at run time.
 */
import { builtinModules } from 'node:module'
import ts from 'typescript'
import { COMPUTING_IMPORTS, DIRECTION, isDoor, type Module, moduleOf, OPEN_FILES, PACKAGES } from './layers.js'
import { type Offence, offence, type Source, walk } from './source.js'

export interface Import {
  readonly source: Source
  readonly at: ts.Node
  readonly specifier: string
  /** Path of the imported file; `undefined` for packages and built-in modules. */
  readonly file: string | undefined
  readonly typeOnly: boolean
}

type Owners = Readonly<Record<string, readonly string[]>>

/** Every import, re-export, dynamic import, `require`, `process.getBuiltinModule` and `import('…')` type of a file. */
export function importsOf(source: Source): Import[] {
  const found: Import[] = []
  walk(source.tree, (node) => {
    const specifier = specifierOf(node)
    if (specifier !== undefined) {
      const file = specifier.startsWith('.') ? resolve(source.path, specifier) : undefined
      found.push({ source, at: node, specifier, file, typeOnly: isTypeOnly(node) })
    }
    return undefined
  })
  return found
}

export function checkDirection(sources: readonly Source[]): Offence[] {
  return sources.flatMap(importsOf).flatMap((found) => {
    if (found.file === undefined) return checkPackage(found)
    const from = moduleOf(found.source.path)
    const to = moduleOf(found.file)
    if (from === to || isOpen(from, found.file)) return []
    if (!DIRECTION[from].includes(to)) return [offenceAt(found, 'direction', `${from} must not import ${to}`)]
    if (to !== 'leaf' && to !== 'node' && !isDoor(found.file))
      return [offenceAt(found, 'door', `import src/${to}/index.js instead of ${found.file}`)]
    return []
  })
}

/** Strangers that import a module which belongs to named files, and names on that list that do not import it. */
export function checkSoleImporters(sources: readonly Source[], owners: Owners): Offence[] {
  const found = sources
    .flatMap(importsOf)
    .filter(({ specifier, typeOnly, at }) => specifier in owners && !typeOnly && !onlyComputes(at))
  const strangers = found.flatMap((one) => {
    const permitted = owners[one.specifier] ?? []
    const isOwner = permitted.includes(one.source.path)
    return isOwner ? [] : [offenceAt(one, 'sole-importer', `${one.specifier} belongs to ${permitted.join(', ')}`)]
  })
  const stale = Object.entries(owners).flatMap(([specifier, paths]) =>
    paths
      .filter((path) => !found.some((one) => one.specifier === specifier && one.source.path === path))
      .map((path) => ({ path, line: 1, rule: 'stale-importer', detail: `listed, but does not import ${specifier}` })),
  )
  return [...strangers, ...stale]
}

/** One offence per group of files that import each other in a circle. */
export function checkCycles(sources: readonly Source[]): Offence[] {
  const graph = new Map(sources.map((source) => [source.path, runtimeFiles(source)]))
  const clear = new Set<string>()
  const offences: Offence[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    const source = sources.find((candidate) => candidate.path === path)
    if (start >= 0 && source !== undefined)
      offences.push(offence(source, 'cycle', [...trail.slice(start), path].join(' -> ')))
    if (start >= 0 || clear.has(path)) return
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
    clear.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return offences
}

/** The files that exist for this one at run time. */
export function runtimeFiles(source: Source): string[] {
  return importsOf(source).flatMap(({ file, typeOnly }) => (file === undefined || typeOnly ? [] : [file]))
}

export function isBuiltin(specifier: string): boolean {
  return specifier.startsWith('node:') || builtinModules.includes(specifier)
}

function onlyComputes(at: ts.Node): boolean {
  const names = ts.isImportDeclaration(at) ? at.importClause?.namedBindings : undefined
  if (names === undefined || !ts.isNamedImports(names) || names.parent.name !== undefined) return false
  return names.elements.every(({ name, propertyName }) => COMPUTING_IMPORTS.has((propertyName ?? name).text))
}

function checkPackage(found: Import): Offence[] {
  if (isBuiltin(found.specifier) || found.specifier in PACKAGES) return []
  return [offenceAt(found, 'dependency', `${found.specifier} is not a dependency that src may use`)]
}

function isOpen(from: Module, file: string): boolean {
  return OPEN_FILES.some((open) => open.from === from && open.file === file)
}

function offenceAt(found: Import, rule: string, detail: string): Offence {
  return offence(found.source, rule, detail, found.at)
}

function specifierOf(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return textOf(node.moduleSpecifier)
  if (ts.isImportTypeNode(node)) return ts.isLiteralTypeNode(node.argument) ? textOf(node.argument.literal) : undefined
  if (ts.isExternalModuleReference(node)) return textOf(node.expression)
  if (!ts.isCallExpression(node)) return undefined
  const callee = node.expression
  const loads =
    callee.kind === ts.SyntaxKind.ImportKeyword ||
    (ts.isIdentifier(callee) && callee.text === 'require') ||
    (ts.isPropertyAccessExpression(callee) && callee.name.text === 'getBuiltinModule')
  return loads ? textOf(node.arguments[0]) : undefined
}

function textOf(node: ts.Node | undefined): string | undefined {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined
}

function isTypeOnly(node: ts.Node): boolean {
  if (ts.isImportTypeNode(node)) return true
  if (ts.isExportDeclaration(node)) return node.isTypeOnly || areTypes(node.exportClause)
  if (!ts.isImportDeclaration(node) || node.importClause === undefined) return false
  const { phaseModifier, name, namedBindings } = node.importClause
  return phaseModifier === ts.SyntaxKind.TypeKeyword || (name === undefined && areTypes(namedBindings))
}

/** `{ type A, type B }`: with verbatimModuleSyntax the module would still load, but biome turns it into `import type`. */
function areTypes(names: ts.Node | undefined): boolean {
  if (names === undefined || !(ts.isNamedImports(names) || ts.isNamedExports(names))) return false
  return names.elements.length > 0 && names.elements.every((element) => element.isTypeOnly)
}

function resolve(from: string, specifier: string): string {
  const url = new URL(specifier, `file:///${from}`)
  return url.pathname.slice(1).replace(/\.js$/, '.ts')
}
