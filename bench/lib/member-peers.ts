/** The membership systems that are measured side by side: how a node of each is started and told to leave. */
import { join } from 'node:path'
import { launchSerf } from '../peers/serf/serf.js'
import type { Launch, LineProcess } from './line-process.js'
import { PEERS_FOLDER, type PeerNeeds } from './peer-needs.js'

export interface MemberPeer {
  readonly name: string
  readonly product: string
  readonly needs: PeerNeeds
  readonly launch: (node: MemberSpec) => Launch
  /** Starts it; resolves with its report of having started. */
  readonly start: (process: LineProcess, node: MemberSpec) => Promise<{ readonly address: string; readonly at: number }>
  /** Begins to leave; resolves to the time at which that was. */
  readonly leave: (process: LineProcess) => Promise<number>
}

export interface MemberSpec {
  readonly name: string
  /** Which one of the run; each number is used once. */
  readonly number: number
  readonly seeds: string
}

/** A started process that takes orders. */
const ORDERED = {
  start: async (process: LineProcess, { name, seeds }: MemberSpec) => {
    const { address, calledAt } = await process.ask({ do: 'start', name, seeds }, 'started')
    return { address: String(address), at: Number(calledAt) }
  },
  leave: async (process: LineProcess) => Number((await process.ask({ do: 'leave' }, 'left'))['calledAt']),
}

const SWIM_JS_NEEDS: PeerNeeds = { npm: { folder: 'swim-js', packages: ['swim'] } }

export function memberPeers(library: string, runId: string): readonly MemberPeer[] {
  const env = { SHOAL_BENCH_ENTRY: library, SHOAL_BENCH_CLUSTER: `bench-${runId}` }
  const network = `127.${100 + Math.floor(Math.random() * 100)}`
  const node = (file: string, argument: string): Launch => {
    return { command: process.execPath, args: [join(PEERS_FOLDER, file), argument], env }
  }
  const shoal = (profile: string): MemberPeer => {
    const launch = (): Launch => node('shoal/member.mjs', profile)
    return { name: `shoal, ${profile}`, product: 'shoal', needs: {}, launch, ...ORDERED }
  }
  const swimJs = (name: string, preset: string): MemberPeer => {
    const launch = (): Launch => node('swim-js/member.mjs', preset)
    return { name, product: 'swim-js', needs: SWIM_JS_NEEDS, launch, ...ORDERED }
  }
  return [
    shoal('lan'),
    {
      name: 'memberlist, LAN',
      product: 'memberlist',
      needs: {
        debian: ['golang-go', 'golang-github-hashicorp-memberlist-dev'],
        build: {
          source: 'memberlist/main.go',
          product: 'memberlist/build/member',
          command: 'go',
          args: ['build', '-o', 'memberlist/build/member', 'memberlist/main.go'],
          env: { GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '' },
        },
      },
      launch: () => ({ command: join(PEERS_FOLDER, 'memberlist/build/member'), args: [] }),
      ...ORDERED,
    },
    {
      name: 'serf, lan',
      product: 'serf',
      needs: { debian: ['serf'] },
      launch: ({ name, number, seeds }) => {
        return launchSerf(name, `${network}.${Math.floor(number / 250)}.${1 + (number % 250)}`, seeds)
      },
      start: async (process) => {
        const { address, calledAt } = await process.waitFor('started')
        return { address: String(address), at: Number(calledAt) }
      },
      leave: (process) => Promise.resolve(process.signal('SIGINT')),
    },
    shoal('local'),
    swimJs('swim-js, probe each 100 ms', 'readme'),
    swimJs('swim-js, probe each 1 s', 'second'),
  ]
}
