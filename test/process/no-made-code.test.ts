/** Where Node is started so that no code may be made of texts, values travel as ever. */
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Bundle, bundle } from '../support/bundle.js'

const run = promisify(execFile)
let program: Bundle

beforeAll(async () => {
  program = await bundle('src/rpc/plain-codec.ts')
}, 60_000)

afterAll(() => rm(program.folder, { recursive: true, force: true }))

it('a record that comes thousands of times is written and read without code of its own', async () => {
  const body = `
    import { isDeepStrictEqual } from 'node:util'
    import { PlainCodec } from ${JSON.stringify(pathToFileURL(program.file).href)}
    const codec = new PlainCodec()
    const value = [{ id: 1, name: 'alice', tags: ['a', 'b'], n: 3.14 }]
    let same = 0
    for (let i = 0; i < 3_000; i++) if (isDeepStrictEqual(codec.decode(codec.encode(value, 'v')), value)) same++
    let made = 'made'
    try { new Function('') } catch (error) { made = error.name }
    console.log(same, made)`
  const args = ['--input-type=module', '--disallow-code-generation-from-strings', '--eval', body]
  expect((await run(process.execPath, args)).stdout).toBe('3000 EvalError\n')
})
