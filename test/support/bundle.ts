/** A program of the tests as one file, which starts in the time that Node needs and no more. */
import { mkdtemp, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'tsup'

export interface Bundle {
  /** For whoever made it to remove. */
  readonly folder: string
  readonly file: string
}

/** `source` below the root of the project. */
export async function bundle(source: string): Promise<Bundle> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-program-'))
  const root = resolve(import.meta.dirname, '../..')
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  await build({
    config: false,
    entry: { program: join(root, source) },
    outDir: folder,
    format: ['esm'],
    outExtension: () => ({ js: '.mjs' }),
    target: 'node20',
    silent: true,
    clean: false,
  })
  return { folder, file: join(folder, 'program.mjs') }
}
