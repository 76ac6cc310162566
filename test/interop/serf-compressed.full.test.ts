/** What a node with `compress` sends must be read by serf agents, which compress themselves and so are read by us. */
import { afterAll, expect, it } from 'vitest'
import { Membership } from '../../src/membership/index.js'
import { encodeTags } from '../../src/membership/tags.js'
import { encodeCompressed } from '../../src/membership/wire/compress.js'
import { SerfCluster, serfMissing } from '../support/serf.js'
import { until } from '../support/until.js'

const missing = serfMissing()
if (missing !== undefined) process.stderr.write(`\n!!! the interop tests with serf are skipped: ${missing}\n\n`)

let cluster: SerfCluster | undefined
let membership: Membership | undefined
afterAll(async () => {
  await membership?.close()
  await cluster?.stop()
})

it.skipIf(missing !== undefined)(
  'serf agents read compressed push/pulls and packets',
  async () => {
    // Large enough to be compressed in the join's push/pull and in every packet that tells of it.
    const tags = { role: 'shoal', long: 'abcdefgh'.repeat(50) }
    expect(encodeCompressed(encodeTags(tags)).length).toBeLessThan(encodeTags(tags).length / 2)
    cluster = await SerfCluster.start(['127.0.0.21', '127.0.0.22', '127.0.0.23'])
    const { agents } = cluster
    membership = await Membership.start({
      cluster: '',
      name: 'packed',
      bind: '127.0.0.1:0',
      delegateProtocol: 'serf',
      compress: true,
      tuning: { pushPullIntervalMs: 1_000 },
      tags,
    })
    const [joined] = await membership.join([agents[0]?.address ?? ''])
    expect(joined?.error).toBeUndefined()
    const showAll = async (wanted: Readonly<Record<string, string>>): Promise<boolean> => {
      const views = await Promise.all(agents.map((agent) => agent.members()))
      return views.every((members) => {
        const found = members.find(({ name }) => name === 'packed')
        return found?.status === 'alive' && JSON.stringify(found.tags) === JSON.stringify(wanted)
      })
    }
    await until('every agent shows the tags', () => showAll({ long: tags.long, role: tags.role }), {
      within: 20_000,
      every: 200,
    })
    membership.setTags({ role: 'other', long: 'ijklmnop'.repeat(50) })
    await until('every agent shows the new tags', () => showAll({ long: 'ijklmnop'.repeat(50), role: 'other' }), {
      within: 20_000,
      every: 200,
    })
    expect(membership.members().filter(({ state }) => state === 'alive')).toHaveLength(4)
    const complaints = agents.flatMap(({ log }) =>
      log.split('\n').filter((line) => /decompress|decode|unmarshal|lzw/i.test(line)),
    )
    expect(complaints).toEqual([])
  },
  90_000,
)
