/** A process that is killed while it writes leaves a whole snapshot behind, one of those it wrote. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseSnapshot } from '../../src/membership/snapshot.js'
import { seededRandom } from '../../src/random.js'
import { type Bundle, bundle } from '../support/bundle.js'
import { numberOf } from '../support/numbered-snapshot.js'
import { pause } from '../support/until.js'

const KILLS = 60
const LIFE_MAX_MS = 40

let writer: Bundle
let running: ChildProcess | undefined

beforeAll(async () => {
  writer = await bundle('test/support/snapshot-writer.ts')
}, 60_000)

afterAll(async () => {
  running?.kill('SIGKILL')
  await rm(writer.folder, { recursive: true, force: true })
})

it(`killed ${KILLS} times at random moments of a write loop, the file always is one of the written states`, async () => {
  const path = join(writer.folder, 'members.json')
  const random = seededRandom(7)
  const left: number[] = []
  for (let life = 0; life < KILLS; life++) {
    const first = life * 100_000
    running = spawn(process.execPath, [writer.file, path, `${first}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(running, 'exit')
    if (running.stdout !== null) await once(running.stdout, 'data')
    await pause(random() * LIFE_MAX_MS)
    running.kill('SIGKILL')
    await exited
    const text = await readFile(path, 'utf8').catch(() => undefined)
    if (text === undefined) continue // killed before the very first write
    const number = numberOf(text)
    expect(number, `after kill ${life + 1}: ${text.slice(0, 200)}`).toBeDefined()
    expect(parseSnapshot(text, 'kill')).toMatchObject({ ok: true })
    left.push(number!)
  }
  // The loop really wrote, and was cut at different places of it.
  expect(left.length).toBeGreaterThanOrEqual(50)
  expect(new Set(left).size).toBeGreaterThan(KILLS / 4)
}, 120_000)
