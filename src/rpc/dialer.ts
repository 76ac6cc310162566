/** Opens connections: the only file of the caller's side that imports `node:net`. Knows nothing of the protocol. */
import { connect } from 'node:net'
import { formatHostPort, type HostPort } from '../address.js'
import type { Sockets } from '../runtime.js'
import type { Link, LinkHandler } from './link.js'
import { SocketLink } from './socket-link.js'

/** Begins to connect; the handler hears whether it worked. Must not throw and must not call the handler at once. */
export type Dial = (address: HostPort, handler: LinkHandler) => Link

/** Untouched pages of it cost nothing; a reply of 64 KiB comes in one piece. */
const RECEIVE_BYTES = 262_144
const KEEP_ALIVE_MS = 30_000

/** Over the system's sockets, or over others that behave like them. */
export const dialOver =
  (open: Sockets['connect']): Dial =>
  (address, handler) => {
    const socket = open({
      host: address.host,
      port: address.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      onread: {
        buffer: Buffer.allocUnsafeSlow(RECEIVE_BYTES),
        callback: (length: number, bytes: Uint8Array) => {
          handler.handleBytes(bytes, length)
          return true
        },
      },
    })
    socket.on('connect', () => handler.handleOpen())
    return new SocketLink(socket, handler, formatHostPort(address))
  }

export const dialTcp: Dial = dialOver(connect)
