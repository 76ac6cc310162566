/**
 * What a node runs on: time, chance and sockets. There is one runtime, the system's, and another for tests (`testing/`).
 * Not an option of users: a node with half of it replaced would be no node.
 */
import type { Socket as UdpSocket } from 'node:dgram'
import type { Server, Socket, TcpNetConnectOpts } from 'node:net'
import type { HostPort } from './address.js'
import { type Clock, systemClock } from './clock.js'
import type { Random } from './random.js'

/** What of a UDP socket is used once it is bound. */
export type DatagramSocket = Pick<UdpSocket, 'on' | 'send' | 'address' | 'close'>

/** Instead of `node:net` and `node:dgram`. */
export interface Sockets {
  /** As `net.connect`. */
  readonly connect: (options: TcpNetConnectOpts) => Socket
  /** As `net.createServer`. */
  readonly createServer: (onConnection: (socket: Socket) => void) => Server
  /** Bound when it is returned. Throws as the system would reject. */
  readonly bindDatagrams: (at: HostPort) => DatagramSocket
}

export interface Runtime {
  readonly clock: Clock
  readonly random: Random
  /** Undefined are the system's. */
  readonly sockets: Sockets | undefined
}

/** The clocks, the chance and the sockets of the process. */
export const systemRuntime: Runtime = { clock: systemClock, random: Math.random, sockets: undefined }
