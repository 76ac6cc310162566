/** The peers whose calls are measured: how each is started, what it needs, and which figures it can give. */
import { join } from 'node:path'
import type { Launch } from './line-process.js'
import { PEERS_FOLDER, type PeerNeeds } from './peer-needs.js'

export type CallFigure = 'sequential' | 'parallel' | 'string' | 'binary' | 'bulk' | 'sixteen' | 'local' | 'localRate'

export interface CallPeer {
  readonly name: string
  /** Variants of one product share it: an aim against the product is judged by the better of them. */
  readonly product: string
  readonly needs: PeerNeeds
  readonly figures: readonly CallFigure[]
  readonly launch: (role: 'callee' | 'caller') => Launch
}

export interface CallRunSpec {
  readonly what: string
  readonly inFlight: number
  /** Callees in the one serving process. */
  readonly callees: number
}

/** In the order of their measurement: the first runs a program warm for the others. */
export const CALL_FIGURES: Readonly<Record<CallFigure, CallRunSpec>> = {
  parallel: { what: 'small', inFlight: 64, callees: 1 },
  sequential: { what: 'small', inFlight: 1, callees: 1 },
  string: { what: 'string', inFlight: 1, callees: 1 },
  binary: { what: 'binary', inFlight: 1, callees: 1 },
  local: { what: 'local', inFlight: 1, callees: 1 },
  localRate: { what: 'localRate', inFlight: 1, callees: 1 },
  bulk: { what: 'bulk', inFlight: 1, callees: 1 },
  sixteen: { what: 'small', inFlight: 64, callees: 16 },
}

const MESSAGES = ['sequential', 'parallel', 'string', 'binary'] as const

function node(file: string, ...args: readonly string[]): Launch {
  return { command: process.execPath, args: [join(PEERS_FOLDER, file), ...args] }
}

function erlang(role: string, cookie: string, flags: readonly string[]): Launch {
  const loopback = ['-kernel', 'inet_dist_use_interface', '{127,0,0,1}']
  const noEpmd = ['-start_epmd', 'false', '-epmd_module', 'erpc_bench']
  const name = ['-name', `${role}@127.0.0.1`, '-setcookie', cookie]
  const program = ['-pa', join(PEERS_FOLDER, 'erpc/build'), '-s', 'erpc_bench', 'main']
  return { command: 'erl', args: [...flags, '+Bi', '-noshell', ...noEpmd, ...name, ...loopback, ...program] }
}

const ERPC_NEEDS: PeerNeeds = {
  debian: ['erlang-base'],
  build: {
    source: 'erpc/erpc_bench.erl',
    product: 'erpc/build/erpc_bench.beam',
    command: 'erlc',
    args: ['-o', 'erpc/build', 'erpc/erpc_bench.erl'],
  },
}

const MOLECULER_NEEDS: PeerNeeds = { npm: { folder: 'moleculer', packages: ['moleculer', 'cbor-x'] } }

/** `library` is shoal as one file. */
export function callPeers(library: string, runId: string): readonly CallPeer[] {
  const env = { SHOAL_BENCH_ENTRY: library, SHOAL_BENCH_CLUSTER: `bench-${runId}` }
  const erpc = (name: string, flags: readonly string[]): CallPeer => {
    const launch = (role: string): Launch => erlang(role, runId, flags)
    return { name, product: 'erpc', needs: ERPC_NEEDS, figures: [...MESSAGES, 'bulk'], launch }
  }
  return [
    {
      name: 'shoal',
      product: 'shoal',
      needs: {},
      figures: [...MESSAGES, 'local', 'localRate', 'bulk', 'sixteen'],
      launch: () => ({ ...node('shoal/shoal.mjs'), env }),
    },
    {
      name: 'raw',
      product: 'raw',
      needs: {},
      figures: ['sequential', 'parallel', 'binary', 'bulk', 'sixteen'],
      launch: () => node('raw/raw.mjs'),
    },
    {
      name: 'raw + msgpack',
      product: 'raw + msgpack',
      needs: {},
      figures: [...MESSAGES, 'bulk', 'sixteen'],
      launch: () => node('raw/raw.mjs', 'msgpack'),
    },
    {
      name: 'Moleculer TCP, JSON',
      product: 'Moleculer',
      needs: MOLECULER_NEEDS,
      figures: ['sequential', 'parallel', 'string'],
      launch: () => node('moleculer/moleculer.mjs', 'JSON'),
    },
    {
      name: 'Moleculer TCP, CBOR',
      product: 'Moleculer',
      needs: MOLECULER_NEEDS,
      figures: MESSAGES,
      launch: () => node('moleculer/moleculer.mjs', 'CBOR'),
    },
    {
      name: 'grpc-js',
      product: 'grpc-js',
      needs: { npm: { folder: 'grpc-js', packages: ['@grpc/grpc-js', '@grpc/proto-loader'] } },
      figures: MESSAGES,
      launch: () => node('grpc-js/grpc-js.mjs'),
    },
    {
      name: 'NATS micro',
      product: 'NATS micro',
      needs: { npm: { folder: 'nats', packages: ['nats'] }, debian: ['nats-server'] },
      figures: MESSAGES,
      launch: () => node('nats/nats.mjs'),
    },
    erpc('Erlang erpc', []),
    erpc('Erlang erpc, +sbwt none', ['+sbwt', 'none']),
  ]
}
