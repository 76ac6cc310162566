/** Bundles a program of the bench, or the library: one file, which starts in the time that Node needs. */
import { symlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { build } from 'tsup'
import type { Owner } from './owner.js'

export type Entry = 'worker' | 'sim-worker' | 'library'

const ROOT = resolve(import.meta.dirname, '../..')

/** Gives the path of the bundle, which goes with the run. */
export async function buildProgram(entry: Entry, owner: Owner): Promise<string> {
  const folder = owner.folder()
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  await build({
    config: false,
    entry: { [entry]: join(ROOT, entry === 'library' ? 'src/index.ts' : `bench/${entry}.ts`) },
    outDir: folder,
    format: ['esm'],
    outExtension: () => ({ js: '.mjs' }),
    target: 'node20',
    silent: true,
    clean: false,
  })
  return join(folder, `${entry}.mjs`)
}
