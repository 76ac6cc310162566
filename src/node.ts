/**
 * Starting a node: options, listener, membership and the first pass over the seeds, in the order in which each needs
 * the one before. What fails leaves nothing open.
 */
import { hostname } from 'node:os'
import { formatHostPort, type HostPort } from './address.js'
import { bindFault } from './bind-fault.js'
import type { Clock } from './clock.js'
import { ShoalError } from './errors.js'
import {
  broadcastRoom,
  faultOf,
  isLoopback,
  type JoinResult,
  Keyring,
  Membership,
  resolveAdvertise,
  resolveBind,
} from './membership/index.js'
import { ClusterLink } from './node/cluster-link.js'
import { Emitter } from './node/emitter.js'
import { HealthEndpoint } from './node/health-endpoint.js'
import { NameClaim } from './node/name-claim.js'
import { type NodeOptions, type ResolvedOptions, resolveOptions } from './node/options.js'
import { LEAVE_TIMEOUT_MS, type NodeEvents, ShoalNode } from './node/shoal-node.js'
import { makeBootId, Registry, type RegistryOptions, ServiceFeed } from './registry/index.js'
import { type Directory, Rpc, type RpcOptions } from './rpc/index.js'
import { type Runtime, systemRuntime } from './runtime.js'
import { within } from './within.js'

/** The first pass over the seeds may hold `createNode` for so long. */
const FIRST_PASS_MS = 3_000
/** Seeds that the error names when none answered. */
const REASONS_MAX = 8
/** Of one service change in a packet: rumours of members need some of it too. */
const REGISTRY_BYTES_MAX = 1_200

/**
 * Starts a node: resolves when its sockets are bound and a seed, or a member that the snapshot remembers, has answered,
 * else when all were tried once or 3 s have passed; they go on in the background. A name that is known at another address
 * is settled first: it rejects NAME_CONFLICT if a node answers to it there, and takes the name over if none does. Rejects
 * INVALID_OPTION, JOIN_FAILED (with `requireSeed`), or under a socket's code (EADDRINUSE) too; nothing is left open then.
 */
export function createNode(given: NodeOptions = {}): Promise<ShoalNode> {
  return startNode(given, systemRuntime)
}

/** As `createNode`, on another runtime than the system's. */
export async function startNode(given: NodeOptions, runtime: Runtime): Promise<ShoalNode> {
  const { clock, random } = runtime
  const options = resolveOptions(given, { env: process.env, hostname: hostname(), random })
  const rpcBind = await resolveBind(options.rpcBind, rpcOptionOf(options))
  const { host } = await resolveAdvertise(options.advertise, { host: rpcBind.host, port: 1 })
  const keyring = new Keyring(options.keys)
  warnIfExposed(host, options)
  const emitter = new Emitter<NodeEvents>(['member', 'service', 'fault'])
  const faults = holdFaults(emitter, clock)
  const feed = new ServiceFeed()
  const bootId = makeBootId(clock.wallMs(), random)
  const registry: Registry = createRegistry(options, {
    bootId,
    random,
    pending: (node) => rpc.pending(node),
    rttMs: (node) => link.rttMs(node),
  })
  const rpc: Rpc = new Rpc({
    runtime,
    cluster: options.cluster,
    node: options.name,
    bootId,
    bind: rpcBind,
    directory: directoryOf(registry),
    ...callsOf(options),
    ...(options.keys === undefined ? {} : { keys: keyring.keys }),
    onEvidence: (node, evidence) => link.handleEvidence(node, evidence),
    onFault: faults.tell,
  })
  const link = new ClusterLink(
    {
      clock,
      registry,
      rpc,
      tags: options.tags,
      random,
      recheckIntervalMs: options.recheckIntervalMs,
      onMember: (event) => emitter.emit('member', event),
      onService: (event) => {
        feed.publish(event)
        emitter.emit('service', event)
      },
    },
    bootId,
  )
  const endpoint = options.healthBind === undefined ? undefined : await HealthEndpoint.bind(options.healthBind)
  let node: ShoalNode | undefined
  const claim = new NameClaim({
    name: options.name,
    onLost: (error) => {
      emitter.emit('fault', error)
      node?.leave().catch(() => {}) // closed meanwhile, which is as good
    },
  })
  try {
    const port = await listen(rpc, rpcBind, rpcOptionOf(options))
    const rpcAddress = formatHostPort({ host, port })
    const membership = await startMembership({ options, runtime, link, rpcAddress, claim, onFault: faults.tell })
    node = new ShoalNode({ clock, options, membership, registry, rpc, rpcAddress, link, emitter, feed, endpoint })
    link.attach(membership)
    await firstPass(membership, options, clock)
    await settleName(membership, claim)
    faults.release()
    return node
  } catch (error) {
    await (node ?? rpc).close()
    await endpoint?.close()
    throw error
  }
}

/** Where the address for calls comes from. */
function rpcOptionOf({ rpc }: ResolvedOptions): string {
  return rpc?.bind === undefined ? 'bind' : 'rpc.bind'
}

/** The port that it took. */
async function listen(rpc: Rpc, bind: HostPort, option: string): Promise<number> {
  try {
    return (await rpc.listen()).port
  } catch (error) {
    throw bindFault(option, bind, error)
  }
}

/** What rpc asks of the cluster, answered by the registry: the two are strangers. */
function directoryOf(registry: Registry): Directory {
  return {
    candidates: (service, method, { nodes, version, where, policy, key, localFirst }) =>
      registry.candidates(service, { version, where, policy, key, localFirst, method }, nodes),
  }
}

function broadcastRoomFor({ cluster, keys, profile, tuning }: ResolvedOptions): number {
  return broadcastRoom({
    cluster,
    ...(keys === undefined ? {} : { keys }),
    ...(profile === undefined ? {} : { profile }),
    ...(tuning === undefined ? {} : { tuning }),
  })
}

/** What of the options is of interest to calls alone. */
function callsOf(options: ResolvedOptions): CallOptions {
  const { local, exposeStacks, use, useOutgoing, authorize, rpc } = options
  return { local, exposeStacks, use, useOutgoing, authorize, tls: rpc?.tls, codec: rpc?.codec }
}

type CallOptions = Pick<RpcOptions, 'local' | 'exposeStacks' | 'use' | 'useOutgoing' | 'authorize' | 'tls' | 'codec'>

function createRegistry(
  options: ResolvedOptions,
  own: Pick<RegistryOptions, 'bootId' | 'random' | 'pending' | 'rttMs'>,
): Registry {
  return new Registry({
    ...own,
    node: options.name,
    rpcAddress: '',
    packetBytesMax: Math.min(REGISTRY_BYTES_MAX, broadcastRoomFor(options)),
    sha256: (bytes) => process.getBuiltinModule('node:crypto').createHash('sha256').update(bytes).digest('hex'),
  })
}

let warned = false

/** Once per process, when gossip or calls are neither encrypted nor authenticated. */
function warnIfExposed(host: string, { keys, rpc }: ResolvedOptions): void {
  if (warned || keys !== undefined || isLoopback(host)) return
  warned = true
  const what = rpc?.tls === undefined ? 'gossip and calls' : 'gossip'
  process.emitWarning(
    `${what} at ${host}: neither encrypted nor authenticated. Whoever reaches these ports can join` +
      `${rpc?.tls === undefined ? ' and call' : ''}. Set the option keys, or bind to a trusted network only.`,
    { type: 'SecurityWarning', code: 'SHOAL_INSECURE' },
  )
}

interface Starting {
  readonly runtime: Runtime
  readonly options: ResolvedOptions
  readonly link: ClusterLink
  readonly rpcAddress: string
  readonly claim: NameClaim
  readonly onFault: (error: Error) => void
}

const EARLY_FAULTS_MAX = 64

/** What goes wrong before the caller has the node is told once it could listen. */
function holdFaults(emitter: Emitter<NodeEvents>, clock: Clock): { tell: (error: Error) => void; release: () => void } {
  const early: Error[] = []
  let held = true
  const tell = (error: Error): void => {
    if (!held) emitter.emit('fault', error)
    else if (early.length < EARLY_FAULTS_MAX) early.push(error)
  }
  const release = (): void => {
    held = false
    clock.setImmediate(() => early.forEach(tell))
  }
  return { tell, release }
}

function startMembership({ options, runtime, link, rpcAddress, claim, onFault }: Starting): Promise<Membership> {
  const { profile, delegateProtocol, tuning, advertise, snapshot } = options
  return Membership.start({
    runtime,
    cluster: options.cluster,
    name: options.name,
    bind: options.bind,
    seeds: options.seeds,
    ...(advertise === undefined ? {} : { advertise }),
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(profile === undefined ? {} : { profile }),
    ...(delegateProtocol === undefined ? {} : { delegateProtocol }),
    ...(tuning === undefined ? {} : { tuning }),
    tags: link.tags(rpcAddress),
    payload: link.payload(),
    onEvent: (event) => link.handleMember(event),
    compress: options.compress,
    ...(options.keys === undefined ? {} : { keys: options.keys }),
    ...(options.allow === undefined ? {} : { allow: options.allow }),
    ...(options.admitMember === undefined ? {} : { admitMember: options.admitMember }),
    ...(options.admitMerge === undefined ? {} : { admitMerge: options.admitMerge }),
    onNotice: (notice) => {
      if (notice.kind === 'name-settled') claim.handleNotice(notice)
      else {
        const fault = faultOf(notice)
        if (fault !== undefined) onFault(fault)
      }
    },
  })
}

/** A name that is lost at the start is given up without a word, unless somebody took us in under it. */
async function settleName(membership: Membership, claim: NameClaim): Promise<void> {
  try {
    await claim.settle(() => membership.nameContest() === 'open')
  } catch (error) {
    if (claim.accepted) await membership.leave(LEAVE_TIMEOUT_MS)
    throw error
  }
}

async function firstPass(membership: Membership, options: ResolvedOptions, clock: Clock): Promise<void> {
  const startedAt = clock.monotonicMs()
  const results = await within(membership.joinSeeds('first'), FIRST_PASS_MS, clock)
  if (!options.requireSeed || results?.some((result) => result.error === undefined)) return
  const waited = Math.round(clock.monotonicMs() - startedAt)
  throw new ShoalError('JOIN_FAILED', `no seed answered within ${waited} ms (${explain(results)})`)
}

function explain(results: readonly JoinResult[] | undefined): string {
  if (results === undefined) return 'none did yet'
  if (results.length === 0) return 'there is none other than this node'
  const reasons = results.slice(0, REASONS_MAX).map(({ seed, address, error }) => `${seed} ${address}: ${error}`)
  return results.length > REASONS_MAX ? `${reasons.join('; ')}; …` : reasons.join('; ')
}
