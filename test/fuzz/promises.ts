/** What a run of some length must have met, or it has shown nothing: faults of every layer, and a cluster that lives. */
import type { Tally } from './tally.js'

/** From so many inputs on. */
export const PROMISED_FROM_INPUTS = 100_000

const PROMISED: readonly string[] = [
  ...['bad-crc', 'bad-incarnation', 'bad-label', 'bad-lzw', 'bad-record', 'bad-seal', 'empty', 'encrypted'],
  ...['foreign-user-message', 'malformed', 'address-conflict', 'plaintext', 'too-deep', 'too-large'],
  ...['truncated', 'unexpected-stream', 'unknown-type', 'wrong-label', 'wrong-name'],
].map((reason) => `drop ${reason}`)

const ALIVE: readonly string[] = [
  ...['alive', 'conflict', 'dead', 'join', 'leave', 'reap', 'suspect', 'update'].map((type) => `event ${type}`),
  ...['foreign-self', 'peer-error', 'version-conflict'].map((kind) => `notice ${kind}`),
  ...['up', 'down', 'update'].map((type) => `service ${type}`),
  ...['gap', 'malformed', 'misplaced', 'own', 'stale'].map((reason) => `registry drop ${reason}`),
  ...['ack', 'err', 'ping', 'pushPull', 'user', 'unfinished'].map((end) => `stream ${end}`),
  'checks with a full table of members',
  'checks with suspicions under way',
  'memory measured',
  'most rumours dropped',
  'registry early evicted',
]

/** Those of which nothing came. */
export function missing(tally: Tally): string[] {
  return [...PROMISED, ...ALIVE].filter((what) => tally.of(what) === 0)
}
