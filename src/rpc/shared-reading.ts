/**
 * Sockets that read into memory used again and again, instead of new memory for each read. Nobody keeps what was read
 * past the call that hands it over, and reads of one process come one after the other: its plain sockets share one buffer.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net'
import type { LinkHandler } from './link.js'

/** A reply of 64 KiB comes in one piece; untouched pages of it cost nothing. */
const RECEIVE_BYTES = 262_144

let shared: Buffer | undefined

/** For a plain socket. One of TLS may read while another one does, and needs a buffer of its own. */
export function sharedReading(handler: LinkHandler): OnReadOpts {
  shared ??= newReceiveBuffer()
  return readingInto(shared, handler)
}

export function ownReading(handler: LinkHandler): OnReadOpts {
  return readingInto(newReceiveBuffer(), handler)
}

/**
 * Has an accepted socket read for the handler, and gives the socket to use from now on. Node offers `onread` only to those
 * who connect: the handle of the connection moves to a socket that has it, unless it cannot be had.
 */
export function readAccepted(accepted: Socket, handler: LinkHandler): Socket {
  const owner = accepted as unknown as { _handle: { readonly useUserBuffer?: unknown } | null }
  const handle = owner._handle
  if (typeof handle?.useUserBuffer !== 'function') return readData(accepted, handler)
  owner._handle = null
  const options: SocketConstructorOpts & { handle: unknown; onread: OnReadOpts } = {
    handle,
    onread: sharedReading(handler),
  }
  const socket = new Socket(options)
  // The server counts the first one among its connections.
  socket.once('close', () => accepted.destroy())
  return socket
}

/** Has a socket of any kind read for the handler, into new memory each time. */
export function readData(socket: Socket, handler: LinkHandler): Socket {
  return socket.on('data', (chunk) => handler.handleBytes(chunk, chunk.length))
}

function readingInto(buffer: Uint8Array, handler: LinkHandler): OnReadOpts {
  return {
    buffer,
    callback: (length, bytes) => {
      handler.handleBytes(bytes, length)
      return true
    },
  }
}

function newReceiveBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(RECEIVE_BYTES)
}
