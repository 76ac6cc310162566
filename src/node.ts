/**
 * Starting a node: options, listener, membership and the first pass over the seeds, in the order in which each needs
 * the one before. What fails leaves nothing open.
 */
import { hostname } from 'node:os'
import { formatHostPort } from './address.js'
import { monotonicMs, wallMs } from './clock.js'
import { ShoalError } from './errors.js'
import { isLoopback, Membership, resolveAdvertise } from './membership/index.js'
import { ClusterLink } from './node/cluster-link.js'
import { Emitter } from './node/emitter.js'
import { type NodeOptions, type ResolvedOptions, resolveOptions } from './node/options.js'
import { type NodeEvents, ShoalNode } from './node/shoal-node.js'
import { makeBootId, Registry, ServiceFeed } from './registry/index.js'
import { Rpc } from './rpc/index.js'

/** The first pass over the seeds may hold `createNode` for so long. */
const FIRST_PASS_MS = 3_000

/**
 * Starts a node: resolves when its sockets are bound and one pass over the seeds was made (at most 3 s), whatever that
 * brought; seeds go on in the background. Rejects INVALID_OPTION, JOIN_FAILED (with `requireSeed`), or with a socket's
 * error; nothing is left open then.
 */
export async function createNode(given: NodeOptions = {}): Promise<ShoalNode> {
  const random = Math.random
  const options = resolveOptions(given, { env: process.env, hostname: hostname(), random })
  const { host } = await resolveAdvertise(options.advertise, { host: options.rpcBind.host, port: 1 })
  warnIfExposed(host)
  const emitter = new Emitter<NodeEvents>()
  const feed = new ServiceFeed()
  const bootId = makeBootId(wallMs(), random)
  const registry: Registry = new Registry({ node: options.name, bootId, rpcAddress: '', random })
  const rpc: Rpc = new Rpc({
    cluster: options.cluster,
    node: options.name,
    bootId,
    bind: options.rpcBind,
    directory: { candidates: (service, nodes) => registry.candidates(service, nodes) },
    local: options.local,
    exposeStacks: options.exposeStacks,
    onEvidence: (node, evidence) => link.handleEvidence(node, evidence),
    onFault: (error) => emitter.emit('fault', error),
  })
  const link = new ClusterLink(
    {
      registry,
      rpc,
      tags: options.tags,
      random,
      onMember: (event) => emitter.emit('member', event),
      onService: (event) => {
        feed.publish(event)
        emitter.emit('service', event)
      },
    },
    bootId,
  )
  const { port } = await rpc.listen()
  const rpcAddress = formatHostPort({ host, port })
  let node: ShoalNode | undefined
  try {
    const membership = await startMembership({ options, link, rpcAddress, emitter })
    node = new ShoalNode({ options, membership, registry, rpc, rpcAddress, link, emitter, feed })
    link.attach(membership)
    await firstPass(membership, options)
    return node
  } catch (error) {
    await (node ?? rpc).close()
    throw error
  }
}

let warned = false

/** Once per process: neither gossip nor calls are encrypted or authenticated. */
function warnIfExposed(host: string): void {
  if (warned || isLoopback(host)) return
  warned = true
  process.emitWarning(
    `gossip and calls at ${host} are neither encrypted nor authenticated: whoever reaches these ports can join and ` +
      'call. Bind to a trusted network only.',
    { type: 'SecurityWarning', code: 'SHOAL_INSECURE' },
  )
}

interface Starting {
  readonly options: ResolvedOptions
  readonly link: ClusterLink
  readonly rpcAddress: string
  readonly emitter: Emitter<NodeEvents>
}

function startMembership({ options, link, rpcAddress, emitter }: Starting): Promise<Membership> {
  const { profile, delegateProtocol, tuning, advertise } = options
  return Membership.start({
    cluster: options.cluster,
    name: options.name,
    bind: options.bind,
    seeds: options.seeds,
    ...(advertise === undefined ? {} : { advertise }),
    ...(profile === undefined ? {} : { profile }),
    ...(delegateProtocol === undefined ? {} : { delegateProtocol }),
    ...(tuning === undefined ? {} : { tuning }),
    tags: link.tags(rpcAddress),
    payload: link.payload(),
    onEvent: (event) => link.handleMember(event),
    onNotice: (notice) => {
      if (notice.kind !== 'foreign-self') emitter.emit('fault', new Error(JSON.stringify(notice)))
    },
  })
}

async function firstPass(membership: Membership, options: ResolvedOptions): Promise<void> {
  const startedAt = monotonicMs()
  const results = await within(membership.joinSeeds(), FIRST_PASS_MS)
  if (!options.requireSeed || results?.some((result) => result.error === undefined)) return
  const waited = Math.round(monotonicMs() - startedAt)
  const reasons = (results ?? []).map(({ seed, error }) => `${seed}: ${error}`).join('; ')
  throw new ShoalError('JOIN_FAILED', `no seed answered within ${waited} ms (${reasons || 'none did yet'})`)
}

/** `undefined` when it takes longer; the work goes on. */
function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms)
    const settled = (settle: () => void): void => {
      clearTimeout(timer)
      settle()
    }
    work.then(
      (value) => settled(() => resolve(value)),
      (error: unknown) => settled(() => reject(error)),
    )
  })
}
