/**
 * Opens connections, in plaintext or secured: the only file of the caller's side that does.
 * Knows nothing of the protocol, and of TLS only when to begin.
 */
import { connect } from 'node:net'
import { formatHostPort, type HostPort } from '../address.js'
import type { Sockets } from '../runtime.js'
import type { ChannelSecurity } from './channel-security.js'
import { callerHandshakeFault } from './handshake-fault.js'
import type { Link, LinkHandler } from './link.js'
import { ownReading, sharedReading } from './shared-reading.js'
import { SocketLink } from './socket-link.js'

/**
 * Begins to connect to a node; the handler hears whether it worked, and nothing is sent to somebody else first. Must not
 * throw and must not call the handler at once.
 */
export type Dial = (address: HostPort, handler: LinkHandler, node: string) => Link

const KEEP_ALIVE_MS = 30_000
const TUNING = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS } as const

/** Over the system's sockets, or over others that behave like them. */
export const dialOver =
  (open: Sockets['connect']): Dial =>
  (address, handler) => {
    const { host, port } = address
    const socket = open({ host, port, ...TUNING, onread: sharedReading(handler) })
    socket.on('connect', () => handler.handleOpen())
    return new SocketLink(socket, handler, { remoteAddress: formatHostPort(address) })
  }

export const dialTcp: Dial = dialOver(connect)

/** The same behind a handshake, which says what is wrong if it fails. */
export function dialSecured(security: ChannelSecurity): Dial {
  const tls = process.getBuiltinModule('node:tls')
  return (address, handler, node) => {
    const { host, port } = address
    // The types know `onread` of plain sockets alone.
    const options = { host, port, onread: ownReading(handler), ...security.clientOptions() }
    const socket = tls.connect(options)
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS)
    let isSecured = false
    socket.on('secureConnect', () => {
      isSecured = true
      const problem = security.calleeProblem(socket, node)
      if (problem === undefined) handler.handleOpen()
      else socket.destroy(new Error(problem))
    })
    return new SocketLink(socket, handler, {
      remoteAddress: formatHostPort(address),
      explain: (code) => (isSecured ? undefined : callerHandshakeFault(code)?.message),
    })
  }
}
