/** What the transports rely on, for the sockets of the system and for those of a test network. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/random.js'
import { MemoryHost } from '../../src/testing/memory-host.js'
import { MemoryNetwork } from '../../src/testing/memory-network.js'
import { RealPace } from '../../src/testing/pace.js'
import { Roads } from '../../src/testing/roads.js'
import { until } from '../support/until.js'

interface Kind {
  readonly host: string
  readonly connect: (options: { host: string; port: number; onread?: never }) => Socket
  readonly createServer: (onConnection: (socket: Socket) => void) => Server
}

function inMemory(): Kind {
  const roads = new Roads({ latencyMs: 1, jitterMs: 2, loss: 0.02 }, seededRandom(1))
  const host = new MemoryHost(new MemoryNetwork(new RealPace().clock, roads), new Map(), '127.7.0.1')
  return { host: host.address, connect: host.connect, createServer: host.createServer }
}

const KINDS: Readonly<Record<string, () => Kind>> = {
  'of the system': () => ({
    host: '127.0.0.1',
    connect,
    createServer: (onConnection) => createServer({ noDelay: true }, onConnection),
  }),
  'of a test network': inMemory,
}

describe.each(Object.entries(KINDS))('sockets %s', (_name, make) => {
  let kind: Kind
  let server: Server
  let port: number
  let accepted: Socket[]
  let dialled: Socket[]

  beforeEach(async () => {
    kind = make()
    accepted = []
    dialled = []
    server = kind.createServer((socket) => {
      socket.on('error', () => {})
      accepted.push(socket)
    })
    server.listen({ host: kind.host, port: 0, exclusive: true })
    await once(server, 'listening')
    port = (server.address() as { port: number }).port
  })

  afterEach(async () => {
    for (const socket of [...accepted, ...dialled]) socket.destroy()
    if (server.address() !== null) await new Promise((resolve) => server.close(resolve))
  })

  const dial = (): Socket => {
    const socket = kind.connect({ host: kind.host, port })
    socket.on('error', () => {})
    dialled.push(socket)
    return socket
  }
  const pair = async (): Promise<readonly [Socket, Socket]> => {
    const socket = dial()
    await until('the connection is accepted', () => accepted.length > 0)
    return [socket, accepted[0] as Socket]
  }

  it('carry what was written before and after the connection was made, in order', async () => {
    const socket = dial()
    socket.write('one ')
    await once(socket, 'connect')
    socket.write('two ')
    socket.end('three')
    let text = ''
    await until('the connection is accepted', () => accepted.length > 0)
    const [other] = accepted as [Socket]
    other.on('data', (chunk) => {
      text += String(chunk)
    })
    await once(other, 'end')
    expect(text).toBe('one two three')
    expect(other.bytesRead).toBe(13)
    expect(socket.bytesWritten).toBe(13)
  })

  it('hold a writer up that is faster than the reader, and tell when there is room', async () => {
    const [socket, other] = await pair()
    other.pause()
    const block = Buffer.alloc(1 << 20, 1)
    let blocks = 0
    while (socket.write(block) && blocks < 64) blocks++
    for (; blocks < 16; blocks++) socket.write(block)
    await until('much is left', () => socket.writableLength > 0 && socket.bytesWritten - socket.writableLength > 0)
    expect(socket.writableNeedDrain).toBe(true)
    const drained = once(socket, 'drain')
    other.resume()
    await drained
    expect(socket.writableLength).toBe(0)
    await until('all was read', () => other.bytesRead === socket.bytesWritten)
  })

  it('end on both sides when one of them ends', async () => {
    const [socket, other] = await pair()
    socket.resume()
    other.resume()
    const closed = Promise.all([once(socket, 'close'), once(other, 'close')])
    socket.end()
    await closed
    expect([socket.destroyed, other.destroyed]).toEqual([true, true])
  })

  it('close the other side when one of them is destroyed', async () => {
    const [socket, other] = await pair()
    other.resume()
    const closed = once(other, 'close')
    socket.destroy()
    await closed
  })

  it('are refused where nobody listens', async () => {
    await new Promise((resolve) => server.close(resolve))
    const socket = kind.connect({ host: kind.host, port })
    const [error] = await once(socket, 'error')
    expect((error as NodeJS.ErrnoException).code).toBe('ECONNREFUSED')
    await until('it is closed', () => socket.closed)
  })

  it('tell of silence after the time that was set', async () => {
    const [socket] = await pair()
    const startedAt = performance.now()
    const silent = once(socket, 'timeout')
    socket.setTimeout(30)
    await silent
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(29)
  })

  it('know the address of the other side', async () => {
    const [socket, other] = await pair()
    await until('the dialler is connected', () => socket.remotePort === port)
    expect(socket.remoteAddress).toBe(kind.host)
    expect(other.remoteAddress).toBe(kind.host)
  })

  it('share no port', async () => {
    const second = kind.createServer(() => {})
    second.listen({ host: kind.host, port, exclusive: true })
    const [error] = await once(second, 'error')
    expect((error as NodeJS.ErrnoException).code).toBe('EADDRINUSE')
  })

  it('keep their listener from closing until the last of them has ended', async () => {
    const [socket, other] = await pair()
    let isClosed = false
    server.close(() => {
      isClosed = true
    })
    await refused()
    expect(isClosed).toBe(false)
    other.resume()
    socket.destroy()
    await until('the listener is closed', () => isClosed)
  })

  /** Gives the loop some turns, and shows that nobody listens any more. */
  function refused(): Promise<unknown> {
    const late = kind.connect({ host: kind.host, port })
    late.on('error', () => {})
    return new Promise((resolve) => late.on('close', resolve))
  }
})
