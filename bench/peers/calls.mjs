/**
 * The calling side of every Node peer: the same payloads, the same loop. A peer gives `serve(count)`, which resolves to
 * its addresses, and `connect(addresses)`, which resolves to `call(payload, resolved, failed)`. The loop takes callbacks,
 * so that a peer without promises does not pay for one; a peer with promises passes them to `then`.
 */
import { isDeepStrictEqual } from 'node:util'
import { obey } from './program.mjs'

const SAMPLES_MAX = 2_000_000
const ERRORS_MAX = 100
/** Local calls never wait for the event loop: it gets a turn after so many, or timers and sockets would starve. */
const LOCAL_BURST = 1_024

const PAYLOADS = {
  small: () => ({ id: 1, name: 'alice', tags: ['a', 'b'], n: 3.14 }),
  string: () => ({ text: 'x'.repeat(65_536) }),
  binary: () => Buffer.alloc(65_536, 7),
  /** 16 MiB less room for an envelope. */
  bulk: () => Buffer.alloc(16_777_216 - 4_096, 7),
}

/**
 * `connectLocal` resolves to a call of the program's own service, where the peer has such a thing; `local` times each of its
 * calls, `localRate` counts them.
 */
export function runCallPeer({ serve, connect, connectLocal }) {
  let call
  obey({
    serve: async ({ count }) => ({ event: 'ready', addresses: (await serve(count)).join(',') }),
    connect: async ({ addresses }) => {
      call = await connect(addresses.split(','))
      return { event: 'connected' }
    },
    calls: async ({ what, inFlight, ms, warmupMs }) => {
      const local = what.startsWith('local')
      const payload = PAYLOADS[local ? 'small' : what]()
      const loop = { call: local ? await connectLocal() : call, payload, burst: local ? LOCAL_BURST : Infinity }
      await check(loop)
      const isTimed = inFlight === 1 && what !== 'localRate'
      const run = isTimed ? runSequential : (counted) => runParallel(counted, inFlight)
      await run({ ...loop, ms: warmupMs })
      return { event: 'figures', ...(await run({ ...loop, ms })) }
    },
  })
}

/** An echo that is not equal to what was sent would make every figure worthless. */
async function check({ call, payload }) {
  const value = await new Promise((resolve, reject) => call(payload, resolve, reject))
  const same = Buffer.isBuffer(payload)
    ? Buffer.compare(payload, value) === 0
    : value instanceof Uint8Array || isDeepStrictEqual(JSON.parse(JSON.stringify(value)), payload)
  if (!same) throw new Error('the echo differs from what was sent')
}

/** One call at a time; each is timed. */
function runSequential({ call, payload, burst, ms }) {
  const samples = new Float64Array(Math.min(SAMPLES_MAX, Math.ceil(ms * 2_000)))
  const startedAt = performance.now()
  const endAt = startedAt + ms
  return new Promise((resolve) => {
    let calls = 0
    let errors = 0
    let sentAt = 0
    const next = () => {
      sentAt = performance.now()
      call(payload, resolved, failed)
    }
    const goOn = (now) => {
      if (now >= endAt || calls === samples.length || errors >= ERRORS_MAX) finish(now)
      else if (calls % burst === 0) setImmediate(next)
      else next()
    }
    const resolved = () => {
      const now = performance.now()
      samples[calls++] = now - sentAt
      goOn(now)
    }
    const failed = () => {
      errors++
      goOn(performance.now())
    }
    const finish = (now) => {
      const sorted = samples.subarray(0, calls).sort()
      const micros = (q) => (sorted[Math.min(calls - 1, Math.ceil(q * calls) - 1)] ?? Number.NaN) * 1_000
      resolve({ calls, errors, seconds: (now - startedAt) / 1_000, p50: micros(0.5), p99: micros(0.99) })
    }
    next()
  })
}

/** So many at once, each sent when one returns; only counted, since reading the clock would cost as much as a call. */
function runParallel({ call, payload, burst, ms }, inFlight) {
  const startedAt = performance.now()
  const endAt = startedAt + ms
  return new Promise((resolve) => {
    let calls = 0
    let errors = 0
    let open = inFlight
    let stopped = false
    const next = () => call(payload, resolved, failed)
    const goOn = () => {
      if (((calls + errors) & 63) === 0) stopped = performance.now() >= endAt || errors >= ERRORS_MAX
      if (!stopped && calls % burst === 0) setImmediate(next)
      else if (!stopped) next()
      else if (--open === 0) resolve({ calls, errors, seconds: (performance.now() - startedAt) / 1_000 })
    }
    const resolved = () => {
      calls++
      goOn()
    }
    const failed = () => {
      errors++
      goOn()
    }
    for (let i = 0; i < inFlight; i++) next()
  })
}
