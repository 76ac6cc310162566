/**
 * Purity: a file of `src` computes and does nothing else, unless `layers.ts` lists it as a shell with what it may use.
 * Names are resolved by the compiler, so a parameter called `process` is no offence and an alias of a global is one.
 */
import ts from 'typescript'
import { importsOf, isBuiltin, runtimeFiles } from './imports.js'
import { type Capability, isDoor, PACKAGES } from './layers.js'
import { type Offence, offence, type Source, walk } from './source.js'

type Shells = Readonly<Record<string, readonly Capability[]>>

const GLOBALS: ReadonlyMap<string, Capability> = new Map<string, Capability>([
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'].map((name) => [name, 'timers'] as const),
  ...['clearTimeout', 'clearInterval', 'clearImmediate'].map((name) => [name, 'timers'] as const),
  ...['fetch', 'WebSocket', 'EventSource', 'XMLHttpRequest'].map((name) => [name, 'network'] as const),
  ...['require', 'module', '__filename', '__dirname'].map((name) => [name, 'node'] as const),
  ...['eval', 'Function'].map((name) => [name, 'code'] as const),
  ...['globalThis', 'global'].map((name) => [name, 'global'] as const),
  ['process', 'process'],
  ['performance', 'clock'],
  ['crypto', 'random'],
  ['console', 'log'],
])

const MEMBERS: ReadonlyMap<string, Capability> = new Map<string, Capability>([
  ['Date.now', 'clock'],
  ['Math.random', 'random'],
  ['AbortSignal.timeout', 'timers'],
  ['process.env', 'env'],
  ['process.nextTick', 'timers'],
])

/** Capabilities used without being granted, by global name or by import. */
export function checkPurity(sources: readonly Source[], shells: Shells): Offence[] {
  const isFree = freeNames(sources)
  return sources.flatMap((source) => {
    const granted = new Set(shells[source.path])
    const found: Offence[] = []
    const use = (capability: Capability, what: string, at: ts.Node): void => {
      if (!granted.has(capability)) found.push(offence(source, 'purity', `${what} needs '${capability}'`, at))
    }
    for (const { specifier, at } of importsOf(source)) {
      const capability = isBuiltin(specifier) ? 'node' : (PACKAGES[specifier] ?? 'pure')
      if (capability !== 'pure') use(capability, specifier, at)
    }
    walk(source.tree, (node) => {
      if (ts.isTypeNode(node)) return false
      for (const { name, capability, what } of usesIn(node)) if (isFree(name)) use(capability, what, node)
      return undefined
    })
    return found
  })
}

/** A pure file that imports a shell at run time is not pure, however clean its own text. */
export function checkImpureImports(sources: readonly Source[], shells: Shells): Offence[] {
  const isImpure = impureFiles(sources, shells)
  return sources.flatMap((source) => {
    if (source.path in shells || isDoor(source.path)) return []
    return importsOf(source).flatMap(({ file, typeOnly, at }) =>
      file !== undefined && !typeOnly && isImpure(file)
        ? [offence(source, 'impure-import', `a pure file imports the shell ${file}`, at)]
        : [],
    )
  })
}

/** Shells that do not exist or have nothing impure, and capabilities no longer used: the list stays as short as it can. */
export function checkShellList(sources: readonly Source[], shells: Shells): Offence[] {
  const ungranted = checkPurity(sources, {})
  const isImpure = impureFiles(sources, shells)
  return Object.entries(shells).flatMap(([path, granted]) => {
    const source = sources.find((candidate) => candidate.path === path)
    if (source === undefined)
      return [{ path, line: 1, rule: 'stale-shell', detail: 'listed, but there is no such file' }]
    if (granted.length === 0 && !runtimeFiles(source).some((file) => isImpure(file)))
      return [offence(source, 'stale-shell', 'listed, but pure')]
    const used = ungranted.filter((found) => found.path === path).map(({ detail }) => detail)
    return granted
      .filter((capability) => !used.some((detail) => detail.endsWith(`needs '${capability}'`)))
      .map((capability) => offence(source, 'stale-shell', `'${capability}' is granted and not used`))
  })
}

/** Shells, and the doors that lead to one. */
function impureFiles(sources: readonly Source[], shells: Shells): (path: string) => boolean {
  const byPath = new Map(sources.map((source) => [source.path, source]))
  const isImpure = (path: string, trail: readonly string[]): boolean => {
    const door = byPath.get(path)
    if (path in shells) return true
    if (!isDoor(path) || door === undefined || trail.includes(path)) return false
    return runtimeFiles(door).some((file) => isImpure(file, [...trail, path]))
  }
  return (path) => isImpure(path, [])
}

interface Use {
  readonly name: ts.Identifier
  readonly capability: Capability
  readonly what: string
}

function usesIn(node: ts.Node): Use[] {
  const members = membersOf(node)
  if (members.length > 0)
    return members.flatMap(({ name, what }) => {
      const capability = MEMBERS.get(what)
      return capability === undefined ? [] : [{ name, capability, what }]
    })
  if (ts.isNewExpression(node) || ts.isCallExpression(node)) {
    const name = node.expression
    // A Date made of a value is data; one made of nothing reads the clock.
    const readsClock = ts.isIdentifier(name) && name.text === 'Date' && (node.arguments?.length ?? 0) === 0
    return readsClock ? [{ name, capability: 'clock', what: 'Date()' }] : []
  }
  if (!ts.isIdentifier(node) || membersOf(node.parent).some(({ what }) => MEMBERS.has(what))) return []
  const capability = GLOBALS.get(node.text)
  return capability === undefined ? [] : [{ name: node, capability, what: node.text }]
}

/** `Math.random`, `Math['random']` and `const { random } = Math`, all as `Math.random`. */
function membersOf(node: ts.Node): { name: ts.Identifier; what: string }[] {
  const at = (name: ts.Node | undefined, member: string): { name: ts.Identifier; what: string }[] =>
    name !== undefined && ts.isIdentifier(name) ? [{ name, what: `${name.text}.${member}` }] : []
  if (ts.isPropertyAccessExpression(node)) return at(node.expression, node.name.text)
  if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression))
    return at(node.expression, node.argumentExpression.text)
  if (!ts.isVariableDeclaration(node) || !ts.isObjectBindingPattern(node.name)) return []
  return node.name.elements.flatMap((element) => at(node.initializer, (element.propertyName ?? element.name).getText()))
}

/** Tells whether an identifier means the global of that name, using the compiler's own scopes. */
function freeNames(sources: readonly Source[]): (name: ts.Identifier) => boolean {
  const trees = new Map(sources.map(({ path, tree }) => [path, tree]))
  const host: ts.CompilerHost = {
    getSourceFile: (path) => trees.get(path),
    getDefaultLibFileName: () => 'lib.d.ts',
    writeFile: () => {},
    getCurrentDirectory: () => '',
    getCanonicalFileName: (path) => path,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => '\n',
    fileExists: (path) => trees.has(path),
    readFile: () => undefined,
  }
  // Without any library every global is unknown to the compiler, and so has no declaration.
  const options: ts.CompilerOptions = { noLib: true, noResolve: true, target: ts.ScriptTarget.ES2023, types: [] }
  const checker = ts.createProgram([...trees.keys()], options, host).getTypeChecker()
  return (name) => {
    if (isNameOfSomething(name)) return false
    const { parent } = name
    const symbol = ts.isShorthandPropertyAssignment(parent)
      ? checker.getShorthandAssignmentValueSymbol(parent)
      : checker.getSymbolAtLocation(name)
    return symbol === undefined || (symbol.declarations ?? []).length === 0
  }
}

/** A property, a label or a key: a name that refers to no variable. */
function isNameOfSomething(name: ts.Identifier): boolean {
  const { parent } = name
  if (ts.isPropertyAccessExpression(parent)) return parent.name === name
  if (ts.isBindingElement(parent)) return parent.propertyName === name
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent)) return parent.propertyName === name
  if (ts.isShorthandPropertyAssignment(parent)) return false
  return (parent as { name?: ts.Node }).name === name
}
