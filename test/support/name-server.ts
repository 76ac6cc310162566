/** A name server on loopback that knows some SRV records and denies everything else (RFC 1035, RFC 2782). */
import { createSocket, type Socket } from 'node:dgram'

export interface SrvRecord {
  readonly port: number
  readonly target: string
}

const TYPE_SRV = 33
const CLASS_IN = 1
const ANSWER = 0x8180 // a response, recursion available
const NO_SUCH_NAME = 0x8183

export class NameServer {
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  static start(records: Readonly<Record<string, SrvRecord>>): Promise<NameServer> {
    const socket = createSocket('udp4')
    socket.on('message', (query, { address, port }) => socket.send(reply(query, records), port, address))
    return new Promise((resolve) => socket.bind(0, '127.0.0.1', () => resolve(new NameServer(socket))))
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()))
  }
}

function reply(query: Buffer, records: Readonly<Record<string, SrvRecord>>): Buffer {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const question = query.subarray(12, at + 5)
  const record = query.readUInt16BE(at + 1) === TYPE_SRV ? records[labels.join('.')] : undefined
  const header = Buffer.alloc(12)
  query.copy(header, 0, 0, 2)
  header.writeUInt16BE(record === undefined ? NO_SUCH_NAME : ANSWER, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(record === undefined ? 0 : 1, 6)
  return Buffer.concat(record === undefined ? [header, question] : [header, question, answer(record)])
}

function answer({ port, target }: SrvRecord): Buffer {
  const name = Buffer.concat(
    target.split('.').map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`)),
  )
  const fixed = Buffer.alloc(18)
  fixed.writeUInt16BE(0xc00c, 0) // the name of the question
  fixed.writeUInt16BE(TYPE_SRV, 2)
  fixed.writeUInt16BE(CLASS_IN, 4)
  fixed.writeUInt16BE(CLASS_IN, 4)
  fixed.writeUInt16BE(6 + name.length + 1, 10) // after the time to live: the record's length
  fixed.writeUInt16BE(port, 16) // after priority and weight
  return Buffer.concat([fixed, name, Buffer.of(0)])
}
