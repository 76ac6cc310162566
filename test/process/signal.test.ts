/** `closeOnSignal` in programs of their own, as an orchestrator ends them. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BuiltPackage } from '../support/built-package.js'

let built: BuiltPackage

beforeAll(async () => {
  built = await BuiltPackage.make()
}, 60_000)

afterAll(() => built?.remove())

const PROLOGUE = `
import { closeOnSignal, createNode } from 'shoal'
const options = { cluster: 'signal', bind: '127.0.0.1:0' }
const observer = await createNode({ ...options, name: 'observer' })
const node = await createNode({ ...options, name: 'node', seeds: [observer.address] })
const say = (line) => process.stdout.write(line + '\\n')
observer.on('member', ({ type, member }) => { if (member.name === 'node') say(type) })
`

it('at the first signal the node finishes its calls, leaves and closes, and the process ends by that signal', async () => {
  const { code, signal, stdout, stderr } = await built.run(
    'mjs',
    `${PROLOGUE}
closeOnSignal(node, ['SIGTERM'])
let finish
await node.provide('jobs', { slow: () => new Promise((resolve) => { finish = resolve }) }, { stop: () => say('stop hook') })
await observer.waitForServices(['jobs'])
const call = observer.callCb('jobs', 'slow', []).then(() => say('answered'))
while (finish === undefined) await new Promise((resolve) => setImmediate(resolve))
process.kill(process.pid, 'SIGTERM')
for await (const { type } of observer.watch('jobs')) if (type === 'down') break
say('delisted')
finish()
`,
  )
  expect({ code, signal, stderr }).toEqual({ code: null, signal: 'SIGTERM', stderr: '' })
  const lines = stdout.trim().split('\n')
  const order = (line: string): number => lines.indexOf(line)
  expect(order('delisted')).toBeGreaterThanOrEqual(0)
  expect(order('answered')).toBeGreaterThan(order('delisted'))
  expect(order('leave')).toBeGreaterThan(order('delisted'))
  expect(lines.at(-1)).toBe('stop hook')
})

it('of two nodes the process ends with the last, whichever is faster', async () => {
  const { code, signal, stdout, stderr } = await built.run(
    'mjs',
    `${PROLOGUE}
closeOnSignal(observer, ['SIGTERM'])
closeOnSignal(node, ['SIGTERM'])
let finish
await node.provide('jobs', { slow: () => new Promise((resolve) => { finish = resolve }) }, { stop: () => say('stop hook') })
const call = node.callCb('jobs', 'slow', []).then(() => say('answered'))
process.kill(process.pid, 'SIGTERM')
while (process.listenerCount('SIGTERM') === 2) await new Promise((resolve) => setImmediate(resolve))
finish()
`,
  )
  expect({ code, signal, stdout, stderr }).toEqual({
    code: null,
    signal: 'SIGTERM',
    stdout: 'answered\nstop hook\n',
    stderr: '',
  })
})

it('a second signal ends the process at once, though a call still runs', async () => {
  const startedAt = performance.now()
  const { code, signal, stdout } = await built.run(
    'mjs',
    `${PROLOGUE}
closeOnSignal(node, ['SIGTERM', 'SIGINT'], { drain: 60_000 })
await node.provide('jobs', { endless: () => new Promise(() => {}) })
void observer.waitForServices(['jobs']).then(() => observer.callCb('jobs', 'endless', [])).catch(() => {})
for await (const { type } of observer.watch('jobs')) if (type === 'up') break
process.kill(process.pid, 'SIGINT')
for await (const { type } of observer.watch('jobs')) if (type === 'down') break
say('leaving')
process.kill(process.pid, 'SIGTERM')
setInterval(() => {}, 1_000)
`,
  )
  expect({ code, signal }).toEqual({ code: null, signal: 'SIGTERM' })
  expect(stdout).toContain('leaving\n')
  expect(performance.now() - startedAt).toBeLessThan(14_000)
})

it('without exit the process is left to end by itself, and the listeners are taken off', async () => {
  const { code, signal, stdout } = await built.run(
    'mjs',
    `${PROLOGUE}
closeOnSignal(node, ['SIGTERM'], { exit: false })
const off = closeOnSignal(observer, ['SIGINT'])
off()
say('listeners ' + process.listenerCount('SIGINT'))
observer.on('member', ({ type, member }) => { if (type === 'leave' && member.name === 'node') void observer.close() })
process.kill(process.pid, 'SIGTERM')
process.on('exit', () => say('listeners ' + process.listenerCount('SIGTERM')))
`,
  )
  expect({ code, signal }).toEqual({ code: 0, signal: null })
  expect(stdout.match(/listeners \d/g)).toEqual(['listeners 0', 'listeners 0'])
})
