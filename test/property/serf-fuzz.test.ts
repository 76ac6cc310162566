/** Whatever an agent, or somebody who looks like one, sends: what is read of it throws nothing and is within its bounds. */
import { expect, it } from 'vitest'
import {
  encodeSerfIntent,
  LAMPORT_TIME_MAX,
  tryDecodeSerfIntent,
  tryDecodeSerfState,
} from '../../src/membership/serf-messages.js'
import { SerfRelay } from '../../src/membership/serf-relay.js'
import { type Random, randomInt, seededRandom } from '../../src/random.js'

const SEED = Number(process.env['SEED'] ?? 20_261)
const ROUNDS = 60_000

const STATE = Uint8Array.from(
  Buffer.from(
    '0283a54c54696d6503ab4c6566744d656d6265727391a26d65ac5374617475734c54696d657382a26d6502a573686f616c01',
    'hex',
  ),
)
const SAMPLES = [
  encodeSerfIntent({ kind: 'leave', time: 3, node: 'me' }),
  encodeSerfIntent({ kind: 'join', time: 2 ** 40, node: 'me' }),
  STATE,
]

function harmed(random: Random): Uint8Array {
  const bytes = SAMPLES[randomInt(random, SAMPLES.length)]!.slice()
  for (let harm = randomInt(random, 4); harm > 0; harm--)
    bytes[randomInt(random, bytes.length)] = randomInt(random, 256)
  return random() < 0.3 ? bytes.subarray(0, randomInt(random, bytes.length + 1)) : bytes
}

it(`harmed intents and states are read or refused, seed ${SEED}`, () => {
  const random = seededRandom(SEED)
  const relay = new SerfRelay()
  const seen = { intents: 0, states: 0, refused: 0, relayed: 0 }
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = harmed(random)
    const intent = tryDecodeSerfIntent(bytes)
    const state = tryDecodeSerfState(bytes, 'me')
    for (const time of [intent, state].flatMap((read) => (read !== undefined && 'time' in read ? [read.time] : []))) {
      expect(Number.isInteger(time) && time >= 0 && time <= LAMPORT_TIME_MAX, String(time)).toBe(true)
    }
    if (intent !== undefined && 'drop' in intent) seen.refused++
    else if (intent !== undefined) seen.intents++
    if (state !== undefined && 'time' in state) seen.states++
    if (typeof relay.judge(bytes) === 'object') seen.relayed++
  }
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(100)
})
