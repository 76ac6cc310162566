/** One shoal node that tells whom it sees come and go. */
import { machineMs, obey, tell } from '../program.mjs'

const { createNode } = await import(process.env.SHOAL_BENCH_ENTRY)
const profile = process.argv[2]
let node

obey({
  start: async ({ name, seeds }) => {
    const calledAt = machineMs()
    node = await createNode({
      name,
      cluster: process.env.SHOAL_BENCH_CLUSTER,
      bind: '127.0.0.1:0',
      seeds: seeds === '' ? [] : seeds.split(','),
      profile,
    })
    const saw = (what, member) => tell({ event: 'saw', what, name: member.name, at: machineMs() })
    for (const member of node.members()) if (member.state === 'alive') saw('join', member)
    node.on('member', ({ type, member }) => {
      if (type === 'join') saw('join', member)
      else if (type === 'dead' || type === 'leave') saw('gone', member)
    })
    return { event: 'started', address: node.address, calledAt }
  },
  leave: async () => {
    const calledAt = machineMs()
    await node.leave()
    return { event: 'left', calledAt }
  },
})
