/** The code in the pages for users: all of it compiles against the public types, and what is marked `ts run` runs. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { afterAll, describe, expect, it } from 'vitest'
import type { CallErrorCode } from '../../src/errors.js'
import { errorCodeFromWire, errorCodeToWire } from '../../src/rpc/error-codes.js'
import { type CodeBlock, codeBlocks } from '../support/code-blocks.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const GUIDE = 'docs/guide'
const PAGES = ['README.md', 'docs/malla.md', ...readdirSync(`${ROOT}${GUIDE}`).map((name) => `${GUIDE}/${name}`)]
/** The doors of the package, as its `exports` name them. */
const DOORS = { shoal: 'src/index.ts', 'shoal/testing': 'src/testing/index.ts' }
const RUN_MS_MAX = 60_000

const blocks = PAGES.filter((page) => existsSync(`${ROOT}${page}`)).flatMap((page) =>
  codeBlocks(page, readFileSync(`${ROOT}${page}`, 'utf8')),
)

/** One program for all blocks: each is a module of its own at the root of the repository. */
function problems(all: readonly CodeBlock[]): string[] {
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, ROOT)
  const paths = Object.fromEntries(Object.entries(DOORS).map(([name, file]) => [name, [`${ROOT}${file}`]]))
  const own = {
    ...options,
    paths,
    isolatedDeclarations: false,
    declaration: false,
    noPropertyAccessFromIndexSignature: false,
  }
  const texts = new Map(all.map(({ code }, index) => [`${ROOT}block-${index}.ts`, `${code}\nexport {}\n`]))
  const host = ts.createCompilerHost(own)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (path) => texts.has(path) || fileExists(path)
  host.readFile = (path) => texts.get(path) ?? readFile(path)
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = texts.get(path)
    return text === undefined
      ? getSourceFile(path, languageVersion, ...rest)
      : ts.createSourceFile(path, text, languageVersion)
  }
  const roots = [...texts.keys(), `${ROOT}test/support/guide-globals.ts`]
  const program = ts.createProgram(roots, own, host)
  return [...texts.keys()].flatMap((path, index) => {
    const source = program.getSourceFile(path)
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
    return found.map(({ start = 0, messageText }) => {
      const line = source?.getLineAndCharacterOfPosition(start).line ?? 0
      return `${all[index]?.at} +${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
    })
  })
}

describe('the code of the pages', () => {
  it('compiles against the public types', () => {
    expect(blocks.length).toBeGreaterThan(15)
    expect(problems(blocks)).toEqual([])
  })

  it('would not compile if it were wrong', () => {
    const wrong = "import { createNode } from 'shoal'\nawait createNode({ clutter: 'shop' })"
    expect(problems([{ at: 'here:1', code: wrong, runs: false }])).toEqual([
      expect.stringMatching(/^here:1 \+1: .*'clutter' does not exist/),
    ])
  })
})

describe('the table of failures', () => {
  /** The rows of a table of the page that name codes, with what they say of the execution. */
  function rows(page: string): Map<string, Set<string>> {
    const found = new Map<string, Set<string>>()
    for (const line of readFileSync(`${ROOT}${page}`, 'utf8')
      .split('\n')
      .filter((each) => each.startsWith('| '))) {
      const marked = [...line.matchAll(/`'?([A-Za-z_]+)'?`/g)].map(([, word = '']) => word)
      const executed = marked.filter((word) => ['no', 'maybe', 'yes'].includes(word))
      for (const code of marked.filter((word) => errorCodeToWire(word as CallErrorCode) > 0)) {
        const known = found.get(code) ?? new Set()
        for (const word of executed) found.set(code, known.add(word))
      }
    }
    return found
  }

  it('has every code of a call', () => {
    const codes = Array.from({ length: 99 }, (_, wire) => errorCodeFromWire(wire + 1, 'no')).filter(
      (code, wire) => errorCodeToWire(code) === wire + 1,
    )
    expect([...rows('docs/guide/failures.md').keys()].sort()).toEqual([...codes].sort())
  })

  it('says nothing else than the one of the README', () => {
    const all = rows('docs/guide/failures.md')
    const short = rows('README.md')
    expect(short.size).toBeGreaterThan(10)
    for (const [code, executed] of short)
      for (const word of executed)
        expect([code, [...(all.get(code) ?? [])]]).toEqual([code, expect.arrayContaining([word])])
  })
})

describe('the programs of the pages', () => {
  let folder = ''
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** Where `shoal` is installed: the sources, under the names of the package. */
  async function install(): Promise<void> {
    folder = await mkdtemp(join(tmpdir(), 'shoal-docs-'))
    const home = join(folder, 'node_modules/shoal')
    await mkdir(home, { recursive: true })
    const exports = Object.fromEntries(
      Object.entries(DOORS).map(([name, file]) => [name.replace('shoal', '.'), `./${file}`]),
    )
    await writeFile(join(home, 'package.json'), JSON.stringify({ name: 'shoal', type: 'module', exports }))
    await symlink(join(ROOT, 'src'), join(home, 'src'))
  }

  it('run to their end', { timeout: RUN_MS_MAX }, async () => {
    await install()
    const running = blocks.filter(({ runs }) => runs)
    expect(running.length).toBeGreaterThan(3)
    for (const [index, { code }] of running.entries()) await writeFile(join(folder, `block-${index}.mts`), code)
    const all = running.map(({ at }, index) => `console.log('${at}')\nawait import('./block-${index}.mts')\n`)
    await writeFile(join(folder, 'all.mts'), `${all.join('')}console.log('done')\n`)
    const loader = import.meta.resolve('tsx')
    const child = spawn(process.execPath, ['--import', loader, 'all.mts'], { cwd: folder })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
    const limit = setTimeout(() => child.kill('SIGKILL'), RUN_MS_MAX - 1_000)
    const [code] = await once(child, 'exit')
    clearTimeout(limit)
    expect({ code, isDone: output.includes('\ndone\n'), output: code === 0 ? '' : output }).toEqual({
      code: 0,
      isDone: true,
      output: '',
    })
  })
})
