/** One swim-js process. It has no leave message: leaving is falling silent, and the others see a crash. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { machineMs, obey, tell } from '../program.mjs'

const Swim = createRequire(import.meta.url)('swim')
/** The options of its README, and the pace of the other peers: a probe a second. */
const OPTIONS = {
  readme: {
    interval: 100,
    joinTimeout: 1_000,
    pingTimeout: 20,
    pingReqTimeout: 60,
    pingReqGroupSize: 3,
    suspectTimeout: 60,
  },
  second: {
    interval: 1_000,
    joinTimeout: 1_000,
    pingTimeout: 200,
    pingReqTimeout: 600,
    pingReqGroupSize: 3,
    suspectTimeout: 900,
  },
}[process.argv[2]]
const FAULTY = 2
let swim

/** It cannot bind to port 0; the port is free again for the moment that it takes to start. */
async function freePort() {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}

obey({
  start: async ({ name, seeds }) => {
    const host = `127.0.0.1:${await freePort()}`
    swim = new Swim({ local: { host, meta: { name } }, codec: 'msgpack', disseminationFactor: 15, ...OPTIONS })
    const known = new Map()
    const look = ({ meta, host: address, state }) => {
      const was = known.get(address)
      const seenName = meta?.name ?? was?.name
      const alive = state !== FAULTY
      if (seenName === undefined || was?.alive === alive) return
      known.set(address, { name: seenName, alive })
      tell({ event: 'saw', what: alive ? 'join' : 'gone', name: seenName, at: machineMs() })
    }
    swim.on(Swim.EventType.Change, look)
    swim.on(Swim.EventType.Update, look)
    const calledAt = machineMs()
    await new Promise((resolve, reject) => {
      swim.bootstrap(seeds === '' ? [] : seeds.split(','), (error) => (error ? reject(error) : resolve()))
    })
    tell({ event: 'saw', what: 'join', name, at: machineMs() })
    for (const member of swim.members()) look(member)
    return { event: 'started', address: host, calledAt }
  },
  leave: async () => {
    const calledAt = machineMs()
    swim.leave()
    return { event: 'left', calledAt }
  },
})
