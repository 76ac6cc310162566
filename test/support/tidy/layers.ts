/**
 * The architecture as data: which file may touch the outside world, which module may import which, and the size
 * budgets. The checkers of this folder only apply what is written here.
 */

/** What the outside world offers; a pure file has none of it. */
export type Capability =
  | 'node' // built-in modules of Node
  | 'timers'
  | 'clock'
  | 'random'
  | 'env' // process.env
  | 'process' // anything else of process
  | 'code' // eval, new Function
  | 'global' // globalThis, for what the ESM and the CJS build must share
  | 'network' // fetch, WebSocket
  | 'log' // console, debug
  | 'retry' // p-retry, which sleeps by itself

/**
 * The shells: every file of `src` that may do more than compute. An empty list means: touches nothing itself, but may
 * import shells. The doors (`index.ts`) need no entry.
 */
export const SHELLS: Readonly<Record<string, readonly Capability[]>> = {
  'src/clock.ts': ['clock', 'timers'],
  'src/runtime.ts': ['node', 'random'],
  'src/membership/advertise.ts': ['node'],
  'src/membership/driver.ts': [],
  'src/membership/allow-list.ts': ['node'],
  'src/membership/binding.ts': [],
  'src/membership/membership-options.ts': [],
  'src/membership/membership.ts': ['log'],
  'src/membership/own-address.ts': ['node'],
  'src/membership/resolver.ts': ['node'],
  'src/membership/sealer.ts': ['node'],
  'src/membership/seed-lookup.ts': ['node'],
  'src/membership/snapshot-file.ts': ['node', 'clock'],
  'src/membership/snapshot-keeper.ts': [],
  'src/membership/stream-transport.ts': ['node'],
  'src/membership/udp-transport.ts': ['node'],
  'src/node.ts': ['node', 'env', 'process'],
  'src/node/cluster-link.ts': ['log', 'timers'],
  'src/node/close-on-signal.ts': ['node', 'process', 'timers'],
  'src/node/health-endpoint.ts': ['node'],
  'src/node/provided-services.ts': [],
  'src/node/service-names.ts': [],
  'src/node/shoal-node.ts': [],
  'src/rpc/call-plan.ts': [],
  'src/rpc/caller.ts': [],
  'src/rpc/certificate-security.ts': ['node'],
  'src/rpc/channel-security.ts': ['node'],
  'src/rpc/current-call.ts': ['node', 'global'],
  'src/rpc/deadline-sweep.ts': [],
  'src/rpc/dialer.ts': ['node'],
  'src/rpc/flusher.ts': ['timers'],
  'src/rpc/turn-shares.ts': ['timers'],
  'src/rpc/key-security.ts': ['node'],
  'src/rpc/local-attempt.ts': [],
  'src/rpc/orphaned-casts.ts': [],
  'src/rpc/outgoing-layers.ts': [],
  'src/rpc/peers.ts': [],
  'src/rpc/retry.ts': ['retry'],
  'src/rpc/rpc.ts': [],
  'src/rpc/secure-acceptor.ts': ['node'],
  'src/rpc/server.ts': ['node'],
  'src/rpc/shared-reading.ts': ['node'],
  'src/rpc/socket-link.ts': ['node'],
  'src/rpc/strangers.ts': ['node'],
  'src/rpc/stub.ts': [],
  'src/rpc/tracing.ts': ['node'],
  'src/testing/memory-datagrams.ts': ['node', 'timers'],
  'src/testing/memory-host.ts': ['node'],
  'src/testing/memory-server.ts': ['node', 'timers'],
  'src/testing/memory-socket.ts': ['node'],
  'src/testing/pace.ts': [],
  'src/testing/test-network.ts': [],
  'src/testing/virtual-pace.ts': ['node', 'global'],
}

/** What makes code of texts is named here. It touches nothing of the outside world, so whoever imports it may be pure. */
export const CODE_MAKERS: Readonly<Record<string, readonly Capability[]>> = { 'src/rpc/record-code.ts': ['code'] }

export type Module = 'index' | 'testing' | 'node' | 'membership' | 'registry' | 'rpc' | 'leaf'

/** Which modules a file may import besides its own, type imports included. */
export const DIRECTION: Readonly<Record<Module, readonly Module[]>> = {
  index: ['node', 'membership', 'registry', 'rpc', 'leaf'],
  testing: ['node', 'leaf'],
  node: ['membership', 'registry', 'rpc', 'leaf'],
  membership: ['leaf'],
  registry: ['leaf'],
  rpc: ['leaf'],
  leaf: [],
}

/** Single files that a strange module may import past the direction and past the other module's door. */
export const OPEN_FILES: readonly { readonly from: Module; readonly file: string }[] = [
  { from: 'registry', file: 'src/membership/payload.ts' },
]

/** Built-in modules whose runtime import is the business of named files only. */
export const SOLE_IMPORTERS: Readonly<Record<string, readonly string[]>> = {
  'node:dgram': ['src/membership/udp-transport.ts'],
  'node:http': ['src/node/health-endpoint.ts'],
  'node:net': [
    'src/membership/stream-transport.ts',
    'src/rpc/dialer.ts',
    'src/rpc/server.ts',
    'src/rpc/shared-reading.ts',
  ],
  'node:tls': ['src/rpc/certificate-security.ts', 'src/rpc/dialer.ts', 'src/rpc/secure-acceptor.ts'],
}

/** Of those modules, the functions that only compute: anybody whose shell grants `node` may import them. */
export const COMPUTING_IMPORTS: ReadonlySet<string> = new Set(['isIP', 'isIPv4', 'isIPv6', 'BlockList'])

/** Packages that compute and do nothing else; the other dependencies need a capability. */
export const PACKAGES: Readonly<Record<string, Capability | 'pure'>> = {
  '@msgpack/msgpack': 'pure',
  debug: 'log',
  semver: 'pure',
  'p-retry': 'retry',
}

/** Hard limits; what a review asks for is tighter. */
export interface Budgets {
  readonly fileLinesMax: number
  readonly functionLinesMax: number
  readonly parameterCountMax: number
  /** Of what exists at run time: a list of message shapes is one idea, however many it names. */
  readonly exportCountMax: number
  readonly nestingMax: number
}

export const BUDGETS: Budgets = {
  fileLinesMax: 400,
  functionLinesMax: 70,
  parameterCountMax: 4,
  exportCountMax: 10,
  nestingMax: 4,
}

/** The module of a path below `src/`. */
export function moduleOf(path: string): Module {
  if (path === 'src/index.ts') return 'index'
  if (path === 'src/node.ts' || path.startsWith('src/node/')) return 'node'
  for (const name of ['testing', 'membership', 'registry', 'rpc'] as const)
    if (path.startsWith(`src/${name}/`)) return name
  return 'leaf'
}

/** A door: a list of exports, which takes the purity of what it lists. */
export function isDoor(path: string): boolean {
  return path.endsWith('/index.ts')
}
