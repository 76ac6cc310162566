/**
 * What a peer needs on this machine before it can be measured: npm packages in a folder of its own (installed when they
 * are missing, from its lock file), Debian packages (installed on request only), and a build. What cannot be had is told
 * with the reason.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
export const PEERS_FOLDER: string = resolve(import.meta.dirname, '../peers')
const INSTALL_TIMEOUT_MS = 600_000

export interface PeerNeeds {
  /** The folder with its package.json, and the packages whose versions are printed. */
  readonly npm?: { readonly folder: string; readonly packages: readonly string[] }
  readonly debian?: readonly string[]
  readonly build?: {
    readonly source: string
    readonly product: string
    readonly command: string
    readonly args: readonly string[]
    readonly env?: Readonly<Record<string, string>>
  }
}

export type Readiness =
  | { readonly ready: true; readonly versions: string }
  | { readonly ready: false; readonly reason: string }

export interface InstallOptions {
  /** Whether Debian packages may be installed; it takes root. */
  readonly install: boolean
  readonly say: (line: string) => void
}

export async function prepare({ npm, debian, build }: PeerNeeds, options: InstallOptions): Promise<Readiness> {
  try {
    const versions: string[] = []
    if (npm !== undefined) versions.push(...(await prepareNpm(npm, options)))
    if (debian !== undefined) versions.push(...(await prepareDebian(debian, options)))
    if (build !== undefined) await prepareBuild(build, options)
    return { ready: true, versions: versions.join(', ') || `Node ${process.version}` }
  } catch (error) {
    return { ready: false, reason: reasonOf(error) }
  }
}

async function prepareNpm({ folder, packages }: NonNullable<PeerNeeds['npm']>, { say }: InstallOptions) {
  const cwd = join(PEERS_FOLDER, folder)
  // npm writes this file when an installation is complete.
  if (!existsSync(join(cwd, 'node_modules/.package-lock.json'))) {
    say(`npm ci in bench/peers/${folder} (${packages.join(', ')})`)
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd, timeout: INSTALL_TIMEOUT_MS })
  }
  return packages.map((name) => {
    const { version } = JSON.parse(readFileSync(join(cwd, 'node_modules', name, 'package.json'), 'utf8'))
    return `${name} ${version}`
  })
}

async function prepareDebian(packages: readonly string[], { install, say }: InstallOptions): Promise<string[]> {
  const missing: string[] = []
  for (const name of packages) if ((await debianVersion(name)) === undefined) missing.push(name)
  if (missing.length > 0) {
    const command = `apt-get install ${missing.join(' ')}`
    if (!install) throw new Error(`not installed: ${command} (with --install the bench does it, as root)`)
    say(command)
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    await run('apt-get', ['update', '-qq'], { env, timeout: INSTALL_TIMEOUT_MS })
    const args = ['install', '-y', '-qq', '--no-install-recommends', ...missing]
    await run('apt-get', args, { env, timeout: INSTALL_TIMEOUT_MS })
  }
  return Promise.all(packages.map(async (name) => `${name} ${await debianVersion(name)}`))
}

async function debianVersion(name: string): Promise<string | undefined> {
  try {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the format of dpkg-query
    const { stdout } = await run('dpkg-query', ['-W', '-f=${db:Status-Status} ${Version}', name])
    const [status, version] = stdout.split(' ')
    return status === 'installed' ? version : undefined
  } catch {
    return undefined // unknown to dpkg, or no Debian
  }
}

/** Built again when its source is newer. */
async function prepareBuild(build: NonNullable<PeerNeeds['build']>, { say }: InstallOptions): Promise<void> {
  const [source, product] = [join(PEERS_FOLDER, build.source), join(PEERS_FOLDER, build.product)]
  if (existsSync(product) && statSync(product).mtimeMs >= statSync(source).mtimeMs) return
  say(`building bench/peers/${build.product}`)
  mkdirSync(resolve(product, '..'), { recursive: true })
  const env = { ...process.env, ...build.env }
  await run(build.command, build.args, { cwd: PEERS_FOLDER, env, timeout: INSTALL_TIMEOUT_MS })
}

/** One line, without the path of a log that nobody but this machine has. */
function reasonOf(error: unknown): string {
  const { stderr = '', message } = error as Error & { readonly stderr?: string }
  const told = stderr.split('\n').filter((line) => line.trim() !== '' && !line.includes('complete log'))
  return [message.split('\n')[0], ...told.slice(0, 2)].join('; ').replaceAll('|', '/')
}
