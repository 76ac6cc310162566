/**
 * What a user may say of a node, checked once, with every message naming the value, the rule and the way out. The
 * argument comes first, then the environment (`SHOAL_CLUSTER`, `SHOAL_SEEDS`, `SHOAL_BIND`, `SHOAL_ADVERTISE`,
 * `SHOAL_KEYS`).
 */
import { type HostPort, tryParseHostPort, zoneProblem } from '../address.js'
import { utf8Encode } from '../bytes.js'
import { ShoalError } from '../errors.js'
import { checkOptionTable } from '../known-options.js'
import type { AdmissionHooks, DelegateProtocol, GossipKey, Profile, Seeds, SwimConfig } from '../membership/index.js'
import { type Random, randomInt } from '../random.js'
import type { Authorize, CodecChoice, Middleware, OutgoingMiddleware, RpcTlsOptions } from '../rpc/index.js'

export interface NodeOptions extends AdmissionHooks {
  /** Nodes of different clusters never see each other. `''` is an unlabelled cluster, as old memberlist peers form. */
  readonly cluster?: string
  /** Unique in the cluster, 1 to 255 bytes. Default: the host's name and some random characters. */
  readonly name?: string
  /** Gossip socket, UDP and TCP on one port: `host:port`. Default `0.0.0.0:7946`; port 0 takes a free one. */
  readonly bind?: string
  /** What others are told to reach us at: `host` or `host:port`. Default the bound address. */
  readonly advertise?: string
  /**
   * `host:port`, `[v6]:port`, `dns://name:port`, `srv://name`, or a function that gives such texts. Tried for ever, and
   * looked up again at each attempt; none starts a cluster of one.
   */
  readonly seeds?: Seeds
  /**
   * A file that remembers where the live members are, so that a restarted node finds them without its seeds. Its
   * directory must exist; each node needs a file of its own. `leave()` empties it. Default none.
   */
  readonly snapshot?: string
  /** Reject with JOIN_FAILED when the first pass over seeds and snapshot (at most 3 s) reaches nobody. Default false. */
  readonly requireSeed?: boolean
  readonly profile?: Profile
  readonly delegateProtocol?: DelegateProtocol
  /** Changes to the profile's numbers. */
  readonly tuning?: Partial<Omit<SwimConfig, 'vsn'>>
  /** Shown to every node and to `serf members`. Names may not begin with `_`; at most about 400 bytes in all. */
  readonly tags?: Readonly<Record<string, string>>
  /** Addresses that may take part in gossip, as CIDR blocks such as `10.0.0.0/8`. Default all. */
  readonly allow?: readonly string[]
  /** Compress gossip that shrinks by it. Default false. */
  readonly compress?: boolean
  /**
   * Protect gossip and calls by a secret of the cluster: the first key seals, every one opens; raw bytes or base64, 16, 24
   * or 32 bytes. Every node has to have them from its start; `node.keyring` replaces them while the cluster runs. They
   * prove that a node is of the cluster, not its name: for that there is `rpc.tls`. Default none, all is in plaintext.
   */
  readonly keys?: readonly GossipKey[]
  readonly rpc?: RpcNodeOptions
  /**
   * Asked for each incoming call, local ones included, before anything of it runs: `true` lets it through; `false`, or a
   * text that its caller is told, refuses it with UNAUTHORIZED. So do anything else, an error, and silence until the
   * call's deadline. Default all are allowed.
   */
  readonly authorize?: Authorize
  /**
   * How often this node compares what it knows of services with a random peer, in ms: a lost update lives no longer.
   * Default 10,000; 0 switches it off, and push/pull alone repairs.
   */
  readonly recheckInterval?: number
  /** Around every incoming call, local or remote, outside the `use` of its service; the first is the outermost. */
  readonly use?: readonly Middleware[]
  /** Around every call that this node makes: once, however many instances are tried. The first is the outermost. */
  readonly useOutgoing?: readonly OutgoingMiddleware[]
  /**
   * How arguments and results of local calls pass. `reference`, the default: as they are, so that caller and handler
   * share objects, and what another node would refuse (a function, an instance of a class) gets through. `clone`: as over
   * the network, copied and refused alike.
   */
  readonly local?: 'reference' | 'clone'
  /** An HTTP endpoint for an orchestrator's probes. Default none. */
  readonly health?: HealthNodeOptions
}

export interface HealthNodeOptions {
  /** Where `/live` and `/ready` are answered over HTTP: `host:port`; port 0 takes a free one. */
  readonly bind: string
}

export interface RpcNodeOptions {
  /** Where calls are taken: `host:port`. Default any free port at the gossip socket's host. */
  readonly bind?: string
  /** Certificates for calls, in place of `keys`, which then protect gossip alone. */
  readonly tls?: RpcTlsOptions
  /**
   * How arguments and results become bytes. `plain`, the default: MessagePack, by a quick way of our own where it can.
   * `msgpack`: by `@msgpack/msgpack` alone, for comparison or caution; the bytes are the same, and nodes of both speak
   * with each other. A codec of your own has to be the same on every node, from its start: calls to a node with another
   * are UNREACHABLE. It has to bound by itself what a peer's bytes can make of memory.
   */
  readonly codec?: CodecChoice
  /** Send the stack of a handler's error to its callers. Default false. */
  readonly exposeStacks?: boolean
}

export interface ResolvedOptions extends Omit<NodeOptions, 'keys'> {
  readonly cluster: string
  readonly name: string
  readonly bind: string
  readonly seeds: Seeds
  readonly requireSeed: boolean
  readonly tags: Readonly<Record<string, string>>
  readonly local: 'reference' | 'clone'
  readonly compress: boolean
  readonly use: readonly Middleware[]
  readonly useOutgoing: readonly OutgoingMiddleware[]
  readonly keys: readonly GossipKey[] | undefined
  /** Host and port to bind the RPC listener to. */
  readonly rpcBind: HostPort
  readonly exposeStacks: boolean
  readonly healthBind: HostPort | undefined
  readonly recheckIntervalMs: number
}

export interface OptionSources {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly hostname: string
  readonly random: Random
}

const OPTION_NAMES: ReadonlySet<string> = new Set<keyof NodeOptions>([
  'cluster',
  'name',
  'bind',
  'advertise',
  'seeds',
  'snapshot',
  'requireSeed',
  'profile',
  'delegateProtocol',
  'tuning',
  'tags',
  'allow',
  'compress',
  'admitMember',
  'admitMerge',
  'keys',
  'rpc',
  'authorize',
  'use',
  'useOutgoing',
  'local',
  'health',
  'recheckInterval',
])
const RPC_OPTION_NAMES: ReadonlySet<string> = new Set<keyof RpcNodeOptions>(['bind', 'tls', 'codec', 'exposeStacks'])
const HEALTH_OPTION_NAMES: ReadonlySet<string> = new Set<keyof HealthNodeOptions>(['bind'])
const GOSSIP_PORT = 7_946
const NAME_BYTES_MAX = 255
const RECHECK_MS = { default: 10_000, min: 100, max: 3_600_000 } as const

/** Checks and completes the options. Throws INVALID_OPTION; what only the system can refuse comes later. */
export function resolveOptions(options: NodeOptions, { env, hostname, random }: OptionSources): ResolvedOptions {
  checkOptionTable(options, { what: 'option', names: OPTION_NAMES, code: 'INVALID_OPTION' })
  const { rpc, health } = options
  if (rpc !== undefined) checkOptionTable(rpc, { what: 'rpc option', names: RPC_OPTION_NAMES, code: 'INVALID_OPTION' })
  if (health !== undefined)
    checkOptionTable(health, { what: 'health option', names: HEALTH_OPTION_NAMES, code: 'INVALID_OPTION' })
  const bind = checkText('bind', options.bind ?? env['SHOAL_BIND'] ?? `0.0.0.0:${GOSSIP_PORT}`)
  const advertise = options.advertise ?? env['SHOAL_ADVERTISE']
  if (advertise !== undefined) checkText('advertise', advertise)
  return {
    ...options,
    cluster: requireCluster(options.cluster ?? env['SHOAL_CLUSTER']),
    name: checkName(options.name ?? makeName(hostname, random)),
    bind,
    ...(advertise === undefined ? {} : { advertise }),
    seeds: checkSeeds(options.seeds ?? splitList(env['SHOAL_SEEDS'])),
    ...(options.snapshot === undefined ? {} : { snapshot: checkText('snapshot', options.snapshot) }),
    requireSeed: checkFlag('requireSeed', options.requireSeed ?? false),
    tags: checkTags(options.tags === undefined ? {} : options.tags),
    keys: options.keys ?? keysOf(env['SHOAL_KEYS']),
    ...checkAuthorize(options),
    local: checkLocal(options.local ?? 'reference'),
    use: checkLayers('use', options.use),
    useOutgoing: checkLayers('useOutgoing', options.useOutgoing),
    rpcBind: resolveRpcBind(options.rpc?.bind, bind),
    healthBind:
      options.health === undefined
        ? undefined
        : parseBind('health.bind', checkText('health.bind', options.health.bind), 0),
    ...checkHooks(options),
    compress: checkFlag('compress', options.compress ?? false),
    recheckIntervalMs: checkRecheck(options.recheckInterval ?? RECHECK_MS.default),
    exposeStacks: checkFlag('rpc.exposeStacks', options.rpc?.exposeStacks ?? false),
  }
}

function requireCluster(cluster: unknown): string {
  if (typeof cluster === 'string') {
    const bytes = utf8Encode(cluster).length
    if (bytes <= NAME_BYTES_MAX) return cluster
    throw invalid(`cluster has ${bytes} bytes of UTF-8, it must have at most ${NAME_BYTES_MAX}: choose a shorter name`)
  }
  throw invalid(
    `cluster must be a string, got ${typeof cluster}: it keeps clusters apart. Set it, or SHOAL_CLUSTER; '' means unlabelled`,
  )
}

function makeName(hostname: string, random: Random): string {
  const suffix = randomInt(random, 36 ** 6).toString(36)
  return `${hostname}-${suffix.padStart(6, '0')}`
}

function checkName(name: unknown): string {
  if (typeof name !== 'string')
    throw invalid(`name must be a string, got ${typeof name}; leave it out to have one made`)
  const bytes = utf8Encode(name).length
  if (/\p{Cs}/u.test(name)) throw invalid(`name ${JSON.stringify(name)} has half a character, which UTF-8 cannot carry`)
  if (bytes >= 1 && bytes <= NAME_BYTES_MAX) return name
  const shown = name.length > 40 ? `${name.slice(0, 40)}…` : name
  throw invalid(`name '${shown}' has ${bytes} bytes of UTF-8, it must have 1 to ${NAME_BYTES_MAX}`)
}

function splitList(text: string | undefined): string[] {
  if (text === undefined) return []
  return text
    .split(',')
    .map((seed) => seed.trim())
    .filter((seed) => seed !== '')
}

/** An empty variable is a mistake of whoever fills it in, and must not mean plaintext. */
function keysOf(text: string | undefined): string[] | undefined {
  return text === undefined ? undefined : splitList(text)
}

function checkAuthorize({ authorize }: NodeOptions): Pick<NodeOptions, 'authorize'> {
  if (authorize === undefined) return {}
  if (typeof authorize === 'function') return { authorize }
  throw invalid(`authorize must be a function, got ${typeof authorize}`)
}

function checkSeeds(seeds: unknown): Seeds {
  if (typeof seeds === 'function') return seeds as Seeds
  if (Array.isArray(seeds) && seeds.every((seed) => typeof seed === 'string' || typeof seed === 'function'))
    return seeds
  const got = typeof seeds === 'string' ? `'${seeds}'` : Array.isArray(seeds) ? 'other values in it' : typeof seeds
  throw invalid(
    `seeds must be an array of strings such as 10.0.0.5:7946 or dns://name:7946, or a function that gives one, got ${got}`,
  )
}

function checkText(option: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw invalid(`${option} must be a string, got ${typeof value}`)
}

function checkFlag(option: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw invalid(`${option} must be true or false, got ${typeof value}`)
}

function checkRecheck(ms: unknown): number {
  const { min, max } = RECHECK_MS
  if (typeof ms === 'number' && (ms === 0 || (ms >= min && ms <= max))) return ms
  throw invalid(`recheckInterval must be ${min} to ${max} milliseconds, or 0 for never, got ${String(ms)}`)
}

function checkTags(tags: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (typeof tags !== 'object' || tags === null || Array.isArray(tags)) {
    throw invalid(`tags must be an object of strings, got ${tags === null ? 'null' : typeof tags}`)
  }
  for (const [name, value] of Object.entries(tags)) {
    if (typeof value !== 'string') throw invalid(`tag '${name}' must be a string, got ${typeof value}`)
    if (name.startsWith('_')) throw invalid(`tag '${name}' begins with '_': such names are shoal's own`)
  }
  return { ...tags }
}

function checkHooks({ admitMember, admitMerge }: AdmissionHooks): AdmissionHooks {
  for (const [name, hook] of Object.entries({ admitMember, admitMerge })) {
    if (hook !== undefined && typeof hook !== 'function')
      throw invalid(`${name} must be a function, got ${typeof hook}`)
  }
  return { ...(admitMember === undefined ? {} : { admitMember }), ...(admitMerge === undefined ? {} : { admitMerge }) }
}

function checkLocal(local: string): 'reference' | 'clone' {
  if (local === 'reference' || local === 'clone') return local
  throw invalid(`local must be 'reference' or 'clone', got '${local}'`)
}

function checkLayers<Layer>(option: string, layers: readonly Layer[] = []): readonly Layer[] {
  if (Array.isArray(layers) && layers.every((layer) => typeof layer === 'function')) return [...layers]
  const got = Array.isArray(layers) ? 'other values in it' : layers === null ? 'null' : typeof layers
  throw invalid(`${option} must be an array of functions (call, next) => result, got ${got}`)
}

function resolveRpcBind(rpcBind: string | undefined, bind: string): HostPort {
  const gossip = parseBind('bind', bind, GOSSIP_PORT)
  if (rpcBind === undefined) return { host: gossip.host, port: 0 }
  return parseBind('rpc.bind', checkText('rpc.bind', rpcBind), 0)
}

function parseBind(option: string, text: string, defaultPort: number): HostPort {
  const parsed = tryParseHostPort(text, defaultPort)
  if (parsed !== undefined) return parsed
  throw invalid(`${option} '${text}' ${zoneProblem(text) ?? 'is neither host:port nor [v6]:port'}`)
}

function invalid(message: string): ShoalError {
  return new ShoalError('INVALID_OPTION', message)
}
