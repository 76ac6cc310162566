/** `closeOnSignal` in the first process of a container, which the kernel lets ignore signals of its own. */
import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BuiltPackage } from '../support/built-package.js'

const AS_FIRST = ['unshare', '--user', '--map-root-user', '--pid', '--fork', '--mount-proc']
const [command = '', ...args] = AS_FIRST
const isPossible = spawnSync(command, [...args, 'true']).status === 0
if (!isPossible) process.stderr.write('\n!!! the test in a process namespace is skipped: unshare makes none here\n\n')

let built: BuiltPackage

beforeAll(async () => {
  built = await BuiltPackage.make()
}, 60_000)

afterAll(() => built?.remove())

it.skipIf(!isPossible)(
  'the process ends though something else would keep it alive, with the status of the signal',
  async () => {
    const { code, stdout } = await built.run(
      'mjs',
      `
import { closeOnSignal, createNode } from 'shoal'
const node = await createNode({ cluster: 'signal', bind: '127.0.0.1:0' })
closeOnSignal(node)
setInterval(() => {}, 1_000)
console.log(process.pid)
process.kill(process.pid, 'SIGTERM')
`,
      { through: AS_FIRST },
    )
    expect({ code, stdout }).toEqual({ code: 143, stdout: '1\n' })
  },
)
