/**
 * A second network above the hosts of a first one, every packet of which passes a relay that holds it back: the kernel
 * has no netem, so each host gets a TUN interface at 10.88.0.n whose packets `socat` carries to the relay and back.
 */
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Delay } from './delay-relay.js'
import type { SwitchedHosts } from './switched-hosts.js'
import { until } from './until.js'

const RELAY = fileURLToPath(new URL('./delay-relay.ts', import.meta.url))
const PORT = 7_000
/** With the headers around it, it must fit the Ethernet below. */
const MTU = 1_460

export class DelayedNetwork {
  readonly #relay: ChildProcess
  readonly #carriers: readonly ChildProcess[]

  private constructor(relay: ChildProcess, carriers: readonly ChildProcess[]) {
    this.#relay = relay
    this.#carriers = carriers
  }

  /** Up on all hosts, without delay at first. */
  static async over(network: SwitchedHosts): Promise<DelayedNetwork> {
    const [execPath = '', ...execArgv] = [...network.enter(0), process.execPath, '--import', 'tsx']
    const relay = fork(RELAY, [network.switchAddress, String(PORT)], { execPath, execArgv })
    const hosts = Array.from({ length: network.size }, (_, index) => index + 1)
    const made = new DelayedNetwork(
      relay,
      hosts.map((host) => carry(network, host)),
    )
    try {
      await once(relay, 'message')
      for (const host of hosts) await until(`host ${host} has its second address`, () => hasAddress(network, host))
      return made
    } catch (error) {
      await made.remove()
      throw error
    }
  }

  static address(host: number): string {
    return `10.88.0.${host}`
  }

  set(delay: Delay): void {
    this.#relay.send(delay)
  }

  async remove(): Promise<void> {
    await Promise.all([this.#relay, ...this.#carriers].map(end))
  }
}

/** It dies with this process, however that ends. */
function carry(network: SwitchedHosts, host: number): ChildProcess {
  const tun = `TUN:${DelayedNetwork.address(host)}/24,up,tun-name=tun0,iff-no-pi`
  const relay = `UDP4-DATAGRAM:${network.switchAddress}:${PORT},bind=${network.address(host)}:${PORT}`
  const bound = ['setpriv', '--pdeathsig', 'KILL', 'socat', tun, relay]
  const [file = '', ...args] = [...network.enter(host), ...bound]
  return spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] })
}

function hasAddress(network: SwitchedHosts, host: number): boolean {
  const [file = '', ...args] = [...network.enter(host), 'ip', 'link', 'set', 'tun0', 'mtu', String(MTU)]
  return spawnSync(file, args).status === 0
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}
