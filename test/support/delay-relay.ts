/**
 * A router that is slow: run on the switch of a network, it takes IP packets wrapped in datagrams, holds each back for
 * a while, and passes it on to the host that the last byte of its destination names. Jitter reorders, as it does.
 */
import { createSocket } from 'node:dgram'

/** Of one way, in ms; each packet draws its own within `jitterMs` of `delayMs`. */
export interface Delay {
  readonly delayMs: number
  readonly jitterMs: number
}

const IPV4_HEADER_BYTES = 20
const LAST_BYTE_OF_DESTINATION = 19

const [address = '', port = ''] = process.argv.slice(2)
const network = address.slice(0, address.lastIndexOf('.'))
const socket = createSocket('udp4')
let delay: Delay = { delayMs: 0, jitterMs: 0 }

socket.on('message', (packet) => {
  const isIpv4 = packet.length >= IPV4_HEADER_BYTES && (packet[0] as number) >> 4 === 4
  if (!isIpv4) return
  const to = `${network}.${packet[LAST_BYTE_OF_DESTINATION]}`
  const { delayMs, jitterMs } = delay
  // A host that is gone answers with ICMP: the packet is lost, like any other.
  setTimeout(() => socket.send(packet, Number(port), to, () => {}), delayMs + (2 * Math.random() - 1) * jitterMs)
})
socket.bind(Number(port), address, () => process.send?.('ready'))
process.on('message', (wanted: Delay) => {
  delay = wanted
})
process.on('disconnect', () => process.exit(0))
