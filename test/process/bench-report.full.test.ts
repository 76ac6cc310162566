/** The bench's report in a real browser: every chart has data that is seen, and nothing is loaded from anywhere. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyCharts, renderHtml } from '../../bench/report/html.js'
import type { Result } from '../../bench/report/result.js'

const SCREENSHOTS = resolve(import.meta.dirname, '../../bench/results')
const ROOT = resolve(import.meta.dirname, '../..')
const RUN_LIMIT_MS = 240_000
const run = promisify(execFile)

function chromiumMissing(): string | undefined {
  const { error, status } = spawnSync('chromium', ['--version'], { encoding: 'utf8' })
  if (error === undefined && status === 0) return undefined
  const reason = `chromium is needed (Debian package chromium): ${error?.message ?? `status ${status}`}`
  process.stderr.write(`\n!!! the report is not looked at in a browser: ${reason}\n\n`)
  return reason
}

describe.skipIf(chromiumMissing() !== undefined)('the report of a small run, in Chromium', () => {
  let folder = ''
  let page = ''
  let result: Result

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shoal-report-'))
    const args = ['tsx', 'bench/run.ts', '--quick', '--repeats', '1', '--nodes', '4', '--json']
    const { stdout } = await run('npx', args, { cwd: ROOT, timeout: RUN_LIMIT_MS, maxBuffer: 64 * 1_048_576 }).catch(
      (error: { stdout?: string; code?: number; stderr?: string }) => {
        // A figure that was missed on a busy machine is not what is looked at here.
        if (error.code === 1 && error.stdout !== undefined) return { stdout: error.stdout }
        throw new Error(`the bench failed: ${error.stderr}`)
      },
    )
    result = JSON.parse(stdout) as Result
    page = join(folder, 'report.html')
    await writeFile(page, renderHtml(result))
  }, RUN_LIMIT_MS + 30_000)

  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('has charts of all suites, none of them empty', () => {
    expect(result.complete).toBe(true)
    expect(emptyCharts(result)).toEqual([])
    const drawn = new Set(result.charts.map(({ suite }) => suite))
    expect([...drawn].sort()).toEqual(['calls', 'convergence', 'growth'])
  })

  it('is laid out with every line and bar inside its chart, and loads nothing', async () => {
    const probed = join(folder, 'probed.html')
    await writeFile(probed, renderHtml(result).replace('</body>', `<script>${PROBE}</script></body>`))
    const { stdout } = await chromium(folder, ['--dump-dom', pathToFileURL(probed).href])
    const seen = JSON.parse(/<pre id="probe">([^<]*)<\/pre>/.exec(stdout)?.[1] ?? 'null') as Seen
    expect(seen.charts.map(({ title }) => title)).toEqual(result.charts.map(({ title }) => title))
    expect(seen.charts.filter(({ marks }) => marks === 0)).toEqual([])
    expect(seen.charts.filter(({ outside }) => outside > 0)).toEqual([])
    expect(seen.charts.filter(({ texts }) => texts < 4)).toEqual([])
    expect(seen.tables).toBeGreaterThan(5)
    expect(seen.loaded).toEqual([])
  })

  it('leaves a screenshot for whoever wants to look', async () => {
    await mkdir(SCREENSHOTS, { recursive: true })
    const file = join(SCREENSHOTS, 'report.png')
    await rm(file, { force: true })
    await chromium(folder, [`--screenshot=${file}`, '--window-size=1200,6000', pathToFileURL(page).href])
    expect((await stat(file)).size).toBeGreaterThan(50_000)
  })
})

interface Seen {
  readonly charts: readonly { title: string; marks: number; outside: number; texts: number }[]
  readonly tables: number
  readonly loaded: readonly string[]
}

/** Runs in the page: what of each chart has an extent, and what of that lies outside. */
const PROBE = `
const charts = [...document.querySelectorAll('svg')].map((svg) => {
  const frame = svg.getBoundingClientRect()
  const marks = [...svg.querySelectorAll('.data polyline, .data rect')].map((mark) => mark.getBoundingClientRect())
  const isOutside = (box) => box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1
  return { title: svg.getAttribute('aria-label'), marks: marks.filter((box) => box.width + box.height > 0).length,
    outside: marks.filter(isOutside).length, texts: svg.querySelectorAll('text').length }
})
const loaded = performance.getEntriesByType('resource').map(({ name }) => name)
const pre = document.createElement('pre')
pre.id = 'probe'
pre.textContent = JSON.stringify({ charts, tables: document.querySelectorAll('table').length, loaded })
document.body.append(pre)`

function chromium(profile: string, args: readonly string[]): Promise<{ stdout: string }> {
  // As root there is no sandbox, and a container's /dev/shm is too small.
  const options = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars']
  return run('chromium', [...options, `--user-data-dir=${join(profile, 'profile')}`, ...args], {
    timeout: 60_000,
    maxBuffer: 64 * 1_048_576,
  })
}
