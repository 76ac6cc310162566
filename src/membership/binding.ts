/** The two sockets of membership, UDP and TCP on one port, and what is known only once they are bound. */
import { type HostPort, tryParseHostPort, zoneProblem } from '../address.js'
import { bindFault } from '../bind-fault.js'
import { ShoalError } from '../errors.js'
import type { Runtime } from '../runtime.js'
import { resolveAdvertise, resolveBind } from './advertise.js'
import { resolveAllowList } from './allow-list.js'
import { resolveSwimConfig, type SwimConfig, versionsFor } from './config.js'
import { Envelope } from './envelope.js'
import { broadcastBytesMax } from './gossip.js'
import { Keyring } from './keyring.js'
import { type MembershipOptions, resolveSealing } from './membership-options.js'
import { type StreamParts, StreamTransport } from './stream-transport.js'
import { UdpTransport } from './udp-transport.js'

export const DEFAULT_PORT = 7_946
const DEFAULT_BIND = `0.0.0.0:${DEFAULT_PORT}`
/** How often a random port that is free for TCP is tried for UDP as well. */
const BIND_TRIES = 16

export interface Bound {
  readonly udp: UdpTransport
  readonly streams: StreamTransport
  readonly envelope: Envelope
  readonly keyring: Keyring
  readonly config: SwimConfig
  /** A literal, and the port really taken. */
  readonly bind: HostPort
  readonly advertised: HostPort
  readonly isAllowed: ((host: string) => boolean) | undefined
}

/** The largest broadcast that these options leave room for in a packet. Throws INVALID_OPTION. */
export function broadcastRoom(options: Pick<MembershipOptions, 'cluster' | 'keys' | 'profile' | 'tuning'>): number {
  const { packetBytesMax } = resolveSwimConfig(options.profile ?? 'lan', options.tuning)
  const { overhead } = new Envelope(options.cluster, resolveSealing(options, new Keyring(options.keys)))
  return broadcastBytesMax({ packetBytesMax: packetBytesMax - overhead })
}

/** Binds both. Rejects with INVALID_OPTION or with the socket's error; nothing is left open then. */
export async function bindAll(options: MembershipOptions, { clock, sockets }: Runtime): Promise<Bound> {
  const keyring = new Keyring(options.keys)
  const envelope = new Envelope(options.cluster, resolveSealing(options, keyring), options.compress ?? false)
  const isAllowed = resolveAllowList(options.allow)
  const profile = resolveSwimConfig(options.profile ?? 'lan', options.tuning)
  const vsn = versionsFor(options.delegateProtocol ?? 'plain')
  const config = { ...profile, packetBytesMax: profile.packetBytesMax - envelope.overhead, vsn }
  const wanted = await resolveBind(parseBind(options.bind ?? DEFAULT_BIND))
  const parts = { envelope, timeoutMs: config.streamTimeoutMs, clock, sockets }
  const { udp, streams } = await bindBoth(wanted, parts).catch((error: unknown) => {
    throw bindFault('bind', wanted, error)
  })
  try {
    const bind = { host: wanted.host, port: udp.port }
    const advertised = await resolveAdvertise(options.advertise, bind)
    return { udp, streams, envelope, keyring, config, bind, advertised, isAllowed }
  } catch (error) {
    await Promise.all([udp.close(), streams.close()])
    throw error
  }
}

function parseBind(text: string): HostPort {
  const problem = zoneProblem(text) ?? 'is neither host:port nor [v6]:port'
  const parsed = tryParseHostPort(text, DEFAULT_PORT)
  if (parsed === undefined) throw new ShoalError('INVALID_OPTION', `bind '${text}' ${problem}`)
  return parsed
}

/** UDP and TCP take the same port; with port 0 a free TCP port is tried for UDP until one is free for both. */
async function bindBoth(
  { host, port }: HostPort,
  parts: StreamParts,
): Promise<{ udp: UdpTransport; streams: StreamTransport }> {
  for (let attempt = 1; ; attempt++) {
    const streams = await StreamTransport.bind({ host, port }, parts)
    try {
      return { udp: await UdpTransport.bind({ host, port: streams.port }, parts.sockets), streams }
    } catch (error) {
      await streams.close()
      if (port !== 0 || attempt === BIND_TRIES) throw error
    }
  }
}
