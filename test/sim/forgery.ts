/**
 * Packets that no honest node sends: lies in good form about members, incarnations and services, and damaged bytes. What
 * a cluster must keep under them are the rules that ask for no honesty: its bounds, its own record, and that it stands.
 */
import { EMPTY_BYTES } from '../../src/bytes.js'
import { INCARNATION_MAX } from '../../src/membership/precedence.js'
import { encodeCompound } from '../../src/membership/wire/compound.js'
import { encodeMessage } from '../../src/membership/wire/encode.js'
import { type Alive, MESSAGE_TYPE } from '../../src/membership/wire/messages.js'
import { type Random, randomInt } from '../../src/random.js'
import { encodeMessage as encodeRegistryMessage } from '../../src/registry/codec.js'
import { damaged, pick, randomBytes } from '../support/hostile-bytes.js'
import type { MemberSeen } from './observation.js'

/** Of forged names there are many more than a table of `FORGED_MEMBERS_MAX` takes. */
const NAMES = 500
export const FORGED_MEMBERS_MAX = 32
export const FORGED_QUEUE_MAX = 64

export interface Forger {
  readonly random: Random
  /** What somebody honest sees: lies are best when they are close to the truth. */
  readonly members: readonly MemberSeen[]
}

export function forgedPacket(forger: Forger): Uint8Array {
  const { random } = forger
  const lies = Array.from({ length: 1 + randomInt(random, 5) }, () => forgedMessage(forger))
  const kind = random()
  if (kind < 0.1) return randomBytes(random, 600)
  if (kind < 0.3) return damaged(lies, random)
  return lies.length === 1 ? (lies[0] ?? EMPTY_BYTES) : encodeCompound(lies)
}

function forgedMessage(forger: Forger): Uint8Array {
  const { random, members } = forger
  const victim = members.length > 0 ? pick(members, random) : { name: 'nobody', boot: '', incarnation: 1 }
  const node = random() < 0.7 ? victim.name : `forged-${randomInt(random, NAMES)}`
  const incarnation = forgedIncarnation(victim.incarnation, random)
  const from = random() < 0.2 ? node : pick([...members, { name: 'forged-0' }], random).name
  const lies: (() => Uint8Array)[] = [
    () => encodeMessage({ type: 'alive', node, incarnation, ...forgedIdentity(random) }),
    () => encodeMessage({ type: 'suspect', node, incarnation, from }),
    () => encodeMessage({ type: 'dead', node, incarnation, from }),
    () => encodeMessage({ type: 'ack', seqNo: randomInt(random, 2_000), payload: EMPTY_BYTES }),
    () => encodeMessage({ type: 'ping', seqNo: randomInt(random, 2_000), node, source: undefined }),
    () => userMessage(victim, random),
  ]
  return pick(lies, random)()
}

/** Near the truth, far above it, or beyond what anybody may use. The last few before the limit are left to the victims. */
function forgedIncarnation(truth: number, random: Random): number {
  const kind = random()
  if (kind < 0.7) return Math.max(0, truth + randomInt(random, 5) - 2)
  if (kind < 0.8) return randomInt(random, 1_000)
  if (kind < 0.9) return INCARNATION_MAX + 1 + randomInt(random, 1_000)
  return truth + randomInt(random, INCARNATION_MAX - 1_000_000 - truth)
}

function forgedIdentity(random: Random): Pick<Alive, 'addr' | 'port' | 'meta' | 'vsn'> {
  const addr = Uint8Array.of(10, 0, 0, randomInt(random, 10))
  const meta = random() < 0.5 ? EMPTY_BYTES : randomBytes(random, 64)
  return { addr, port: 7_946, meta, vsn: Uint8Array.of(1, 5, 2, 0, 0, 0) }
}

/** A service that its owner never had, or a rev that nobody can fetch. */
function userMessage({ name: node, boot: bootId }: Pick<MemberSeen, 'name' | 'boot'>, random: Random): Uint8Array {
  const rev = 1 + randomInt(random, 20)
  const payload =
    random() < 0.5
      ? encodeRegistryMessage({ kind: 'announce', node, bootId, rev })
      : encodeRegistryMessage({
          kind: 'change',
          node,
          bootId,
          base: 0,
          rev,
          records: [],
          removed: [{ service: 'service-1', rev }],
        })
  return Uint8Array.from([MESSAGE_TYPE.user, ...payload])
}
