/**
 * The limit of Node: frames of a length and bytes over one TCP connection, echoed in order, nothing above them: no call
 * ids, names, deadlines, failover or bounds. Small frames of a turn are laid into one buffer and written at once; a big
 * one is written as it is. With the argument `msgpack` both sides decode and encode each body with @msgpack/msgpack, the
 * codec that shoal uses.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { Decoder, Encoder } from '@msgpack/msgpack'
import { runCallPeer } from '../calls.mjs'

const HEADER_BYTES = 4
const SLAB_BYTES = 262_144
/** From here on a frame is written without being copied. */
const BIG_BYTES = 16_384
const SHORT_BYTES = 64
const MSGPACK = process.argv[2] === 'msgpack'

class FrameWriter {
  #socket
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
  #used = 0

  constructor(socket) {
    this.#socket = socket
  }

  /** Tells whether a flush is now due. */
  put(bytes, start, end) {
    const length = end - start
    if (length >= BIG_BYTES) {
      this.#putBig(bytes.subarray(start, end))
      return false
    }
    if (this.#used + HEADER_BYTES + length > SLAB_BYTES) this.flush()
    const slab = this.#slab
    const first = this.#used === 0
    let at = this.#used
    slab[at] = length & 0xff
    slab[at + 1] = (length >>> 8) & 0xff
    slab[at + 2] = (length >>> 16) & 0xff
    slab[at + 3] = length >>> 24
    at += HEADER_BYTES
    if (length > SHORT_BYTES) slab.set(bytes.subarray(start, end), at)
    else for (let i = start; i < end; i++) slab[at + i - start] = bytes[i]
    this.#used = at + length
    return first
  }

  flush() {
    if (this.#used === 0) return
    this.#socket.write(this.#slab.subarray(0, this.#used))
    if (this.#socket.writableLength > 0) this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    this.#used = 0
  }

  #putBig(bytes) {
    this.flush()
    const header = Buffer.allocUnsafe(HEADER_BYTES)
    header.writeUInt32LE(bytes.length)
    this.#socket.cork()
    this.#socket.write(header)
    this.#socket.write(bytes)
    this.#socket.uncork()
  }
}

/** Frames are read where they lie; only one that straddles chunks is copied, into a buffer of its size. */
function readFrames(socket, onFrame) {
  let body
  let filled = 0
  let rest
  const take = (chunk) => {
    let at = 0
    if (body !== undefined) {
      at = chunk.copy(body, filled)
      filled += at
      if (filled < body.length) return
      const whole = body
      body = undefined
      onFrame(whole, 0, whole.length)
    }
    while (chunk.length - at >= HEADER_BYTES) {
      const start = at + HEADER_BYTES
      const length = chunk.readUInt32LE(at)
      at = start + length
      if (at <= chunk.length) onFrame(chunk, start, at)
      else {
        body = Buffer.allocUnsafe(length)
        filled = chunk.copy(body, 0, start)
        return
      }
    }
    if (at < chunk.length) rest = Buffer.from(chunk.subarray(at))
  }
  socket.on('data', (chunk) => {
    const whole = rest === undefined ? chunk : Buffer.concat([rest, chunk])
    rest = undefined
    take(whole)
  })
}

const encoder = new Encoder()
const decoder = new Decoder()

function serveSocket(socket) {
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  const writer = new FrameWriter(socket)
  const flush = () => writer.flush()
  readFrames(socket, (bytes, start, end) => {
    let due
    if (MSGPACK) {
      const encoded = encoder.encode(decoder.decode(bytes.subarray(start, end)))
      due = writer.put(encoded, 0, encoded.length)
    } else due = writer.put(bytes, start, end)
    if (due) process.nextTick(flush)
  })
}

/** Replies come in the order of the calls, so a queue says whose each one is. */
async function open(address) {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host).setNoDelay(true)
  await once(socket, 'connect')
  const writer = new FrameWriter(socket)
  const flush = () => writer.flush()
  let waiting = []
  let head = 0
  readFrames(socket, (bytes, start, end) => {
    const resolved = waiting[head++]
    if (head === waiting.length) {
      waiting = []
      head = 0
    }
    inFlight--
    resolved(MSGPACK ? decoder.decode(bytes.subarray(start, end)) : bytes.subarray(start, end))
  })
  return (body, resolved) => {
    waiting.push(resolved)
    inFlight++
    if (writer.put(body, 0, body.length)) {
      if (inFlight === 1) process.nextTick(flush)
      else setImmediate(flush)
    }
  }
}

let inFlight = 0

runCallPeer({
  serve: async (count) => {
    const addresses = []
    for (let i = 0; i < count; i++) {
      const server = createServer(serveSocket).listen(0, '127.0.0.1')
      await once(server, 'listening')
      addresses.push(`127.0.0.1:${server.address().port}`)
    }
    return addresses
  },
  connect: async (addresses) => {
    const peers = await Promise.all(addresses.map(open))
    const small = Buffer.alloc(50, 7)
    let turn = 0
    return (payload, resolved) => {
      const body = MSGPACK ? encoder.encodeSharedRef(payload) : Buffer.isBuffer(payload) ? payload : small
      turn = turn + 1 < peers.length ? turn + 1 : 0
      peers[turn](body, resolved)
    }
  },
})
