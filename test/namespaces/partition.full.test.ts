/** Real packet filters between real sockets, in a network namespace of its own: nothing outside it is touched. */
import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../support/partitioned-nodes.ts', import.meta.url))

/** Why there can be no namespace here; undefined when there can. */
function namespacesMissing(): string | undefined {
  const probe = 'ip link set lo up && nft list ruleset'
  const { error, status, stderr } = spawnSync('unshare', ['-n', 'sh', '-c', probe], { encoding: 'utf8' })
  if (error === undefined && status === 0) return undefined
  return `root, unshare, ip and nft are needed: ${error?.message ?? stderr.trim()}`
}

const missing = namespacesMissing()
if (missing !== undefined) process.stderr.write(`\n!!! the tests in network namespaces are skipped: ${missing}\n\n`)

describe.skipIf(missing !== undefined)('three nodes in a network namespace', () => {
  it('bury each other across a cut, meet again when it heals, and neither a cut of UDP nor one that the sender is told of kills anybody', async () => {
    const command = `ip link set lo up && exec "${process.execPath}" --import tsx "${SCRIPT}"`
    const { stdout } = await promisify(execFile)('unshare', ['-n', 'sh', '-c', command], { timeout: 90_000 })
    const result = JSON.parse(stdout)
    const all = { a: 'alive', b: 'alive', c: 'alive' }
    expect(result.cutViews).toMatchObject({
      a: { a: 'alive', b: 'alive', c: 'dead' },
      b: { a: 'alive', b: 'alive', c: 'dead' },
      c: { a: 'dead', b: 'dead', c: 'alive' },
    })
    expect(result.healed).toEqual({ a: all, b: all, c: all })
    // TCP still answers for the node that UDP does not reach, and somebody says so.
    expect(result.udpCutViews.a.c).toBe('alive')
    expect(result.udpCutViews.b.c).toBe('alive')
    const [byA, ...others] = result.diagnosed.filter(({ by }: { by: string }) => by === 'a')
    expect(byA).toMatchObject({ member: 'c', address: '127.0.0.3:7946', local: '127.0.0.1:7946' })
    expect(others).toEqual([]) // once, though the cut lasted for dozens of probes
    expect(result.blockedFacts.slice(0, 2)).toEqual([false, false])
    expect(result.pingAfterEperm).toBeGreaterThan(0)
  })
})
