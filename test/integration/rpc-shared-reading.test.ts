import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LinkHandler } from '../../src/rpc/link.js'
import { readAccepted } from '../../src/rpc/shared-reading.js'

/** Keeps what was read, and where it lay. */
class Reader implements LinkHandler {
  readonly texts: string[] = []
  readonly memory = new Set<ArrayBufferLike>()

  handleBytes(chunk: Uint8Array, length: number): void {
    this.texts.push(Buffer.from(chunk.subarray(0, length)).toString())
    this.memory.add(chunk.buffer)
  }

  handleOpen(): void {}
  handleDrain(): void {}
  handleClose(): void {}
}

describe('accepted sockets', () => {
  const reader = new Reader()
  const accepted: Socket[] = []
  const server = createServer((socket) => accepted.push(readAccepted(socket, reader)))
  let port = 0

  beforeEach(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })

  afterEach(() => server.close())

  it('read into the same memory, are answered, and are no longer counted once they are closed', async () => {
    const clients: Socket[] = []
    for (const i of [0, 1]) {
      const client = connect(port, '127.0.0.1')
      clients.push(client)
      await once(client, 'connect')
      for (const text of [`first of ${i}`, `second of ${i}`]) {
        client.write(text)
        while (!reader.texts.includes(text)) await new Promise(setImmediate)
      }
      accepted[i]?.write('answer')
      const [answer] = await once(client, 'data')
      expect(String(answer)).toBe('answer')
    }
    expect(reader.memory.size).toBe(1)

    const ends = accepted.map((socket) => once(socket, 'close'))
    for (const client of clients) client.end()
    await Promise.all(ends)
    // Not before both are gone.
    await new Promise((resolve) => server.close(resolve))
  })
})
