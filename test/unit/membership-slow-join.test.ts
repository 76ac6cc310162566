/** A join over a network so slow that each of its exchanges takes nearly as long as it may. Virtual time. */
import { expect, it } from 'vitest'
import { createTestNetwork } from '../../src/testing/index.js'

it('a join that looks first, asks the hook and then exchanges, each as slowly as it may, is still a join', async () => {
  const net = createTestNetwork({ latencyMs: 0 })
  try {
    const a = await net.node({ name: 'a', seeds: [] })
    const slowly = (): Promise<true> => net.sleep(4_900).then(() => true as const)
    const b = await net.node({ name: 'b', seeds: [], admitMerge: slowly, admitMember: slowly })
    net.setLatency(1_450) // connecting may take 3 s, a hook 5 s
    await net.run(b.join([a.address]))
    expect(b.members().map(({ name }) => name)).toContain('a')
  } finally {
    await net.close()
  }
})
