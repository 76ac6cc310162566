/**
 * A switch and hosts, as network namespaces of their own, joined by veth pairs, with packet filters to break them by.
 *
 * The namespaces have no names: each is held by a process that ends when its standard input does, so they vanish with
 * the test's process however that ends, and nothing is left under /run/netns or in the root namespace.
 */
import { type ChildProcessByStdio, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readlinkSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'

const NETWORK = '10.77.0'

/** Why there can be no such network here; undefined when there can. Says so on stderr, since tests then skip. */
export function networkMissing(...tools: readonly string[]): string | undefined {
  const probe = [
    'ip link set lo up',
    'nft list ruleset >/dev/null',
    ...tools.map((tool) => `command -v ${tool} >/dev/null || { echo no ${tool} >&2; false; }`),
  ]
  const { error, status, stderr } = spawnSync('unshare', ['-n', 'sh', '-ec', probe.join('\n')], { encoding: 'utf8' })
  if (error === undefined && status === 0) return undefined
  const reason = `root, unshare, ${['ip', 'nft', ...tools].join(', ')} are needed: ${error?.message ?? stderr.trim()}`
  process.stderr.write(`\n!!! tests in network namespaces are skipped: ${reason}\n\n`)
  return reason
}

/** One network namespace, for as long as its holder lives. */
class Namespace {
  readonly #holder: ChildProcessByStdio<Writable, Readable, null>
  /** A command line that begins with it runs inside. */
  readonly enter: readonly string[]

  private constructor(holder: ChildProcessByStdio<Writable, Readable, null>) {
    this.#holder = holder
    this.enter = ['nsenter', `--net=/proc/${holder.pid}/ns/net`]
  }

  static async make(): Promise<Namespace> {
    const holder = spawn('unshare', ['-n', 'sh', '-c', 'echo ready; exec cat >/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(holder.stdout, 'data')
    const own = readlinkSync('/proc/self/ns/net')
    if (readlinkSync(`/proc/${holder.pid}/ns/net`) === own) throw new Error('it is no namespace of its own')
    return new Namespace(holder)
  }

  get pid(): number | undefined {
    return this.#holder.pid
  }

  run(command: readonly string[], input = ''): void {
    const [file, ...args] = [...this.enter, ...command] as [string, ...string[]]
    execFileSync(file, args, { input, stdio: ['pipe', 'ignore', 'inherit'] })
  }

  async remove(): Promise<void> {
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return
    const exited = once(this.#holder, 'exit')
    this.#holder.stdin.end()
    await exited
  }
}

/** Where a host's own filter looks: `output` tells the sender (EPERM), `input` loses in silence. */
export type Hook = 'input' | 'output'

/** Hosts are numbered from 1; host `n` is 10.77.0.n, and its port of the switch is `p<n>`. */
export class SwitchedHosts {
  readonly #switch: Namespace
  readonly #hosts: readonly Namespace[]

  private constructor(network: Namespace, hosts: readonly Namespace[]) {
    this.#switch = network
    this.#hosts = hosts
  }

  static async make(count: number): Promise<SwitchedHosts> {
    const [network, ...hosts] = await Promise.all(Array.from({ length: count + 1 }, () => Namespace.make()))
    const made = new SwitchedHosts(network as Namespace, hosts)
    made.#wire()
    return made
  }

  get size(): number {
    return this.#hosts.length
  }

  address(host: number): string {
    return `${NETWORK}.${host}`
  }

  /** The switch's own address, for what runs on it. */
  get switchAddress(): string {
    return `${NETWORK}.254`
  }

  /** What a command line must begin with to run on this host; 0 is the switch. */
  enter(host: number): readonly string[] {
    return this.#at(host).enter
  }

  /** Runs a command there to its end. */
  run(host: number, command: readonly string[], input?: string): void {
    this.#at(host).run(command, input)
  }

  /** These rules of nftables now decide what the switch forwards; they replace earlier ones. None heals it. */
  fault(...rules: readonly string[]): void {
    this.#filter(0, 'bridge', 'forward', rules)
  }

  /** The same for what a host itself sends or takes. */
  faultAt(host: number, hook: Hook, ...rules: readonly string[]): void {
    this.#filter(host, 'inet', hook, rules)
  }

  /** No packet passes between the two sides. */
  cut(sideA: readonly number[], sideB: readonly number[]): void {
    this.fault(between(sideA, sideB, 'drop'), between(sideB, sideA, 'drop'))
  }

  heal(): void {
    this.fault()
  }

  /** Takes the host's interface down, or up again; its address stays. */
  setLink(host: number, state: 'up' | 'down'): void {
    this.run(host, ['ip', 'link', 'set', 'eth0', state])
  }

  async remove(): Promise<void> {
    await Promise.all([this.#switch, ...this.#hosts].map((namespace) => namespace.remove()))
  }

  #at(host: number): Namespace {
    const namespace = host === 0 ? this.#switch : this.#hosts[host - 1]
    if (namespace === undefined) throw new Error(`there is no host ${host}`)
    return namespace
  }

  /** One transaction of nft: the old rules hold until the new ones do. */
  #filter(host: number, family: 'bridge' | 'inet', hook: string, rules: readonly string[]): void {
    const table = `table ${family} fault_${hook}`
    const chain = `chain faults {\ntype filter hook ${hook} priority 0; policy accept;\n${rules.join('\n')}\n}`
    this.run(host, ['nft', '-f', '-'], `${table}\ndelete ${table}\n${table} {\n${chain}\n}\n`)
  }

  #wire(): void {
    const bridge = ['link set lo up', 'link add br0 type bridge mcast_snooping 0 forward_delay 0', 'link set br0 up']
    this.#switch.run(['ip', '-batch', '-'], `${bridge.join('\n')}\naddr add ${this.switchAddress}/24 dev br0\n`)
    for (const [index, host] of this.#hosts.entries()) {
      const port = `p${index + 1}`
      const lines = [
        'link set lo up',
        `link add eth0 type veth peer name ${port} netns ${this.#switch.pid}`,
        `addr add ${this.address(index + 1)}/24 dev eth0`,
        'link set eth0 up',
      ]
      host.run(['ip', '-batch', '-'], `${lines.join('\n')}\n`)
      this.#switch.run(['ip', 'link', 'set', port, 'master', 'br0', 'up'])
    }
  }
}

/** A rule for all that goes from one of these hosts to one of those, further narrowed by `what`. */
export function between(from: readonly number[], to: readonly number[], what: string): string {
  const ports = (hosts: readonly number[]): string => `{ ${hosts.map((host) => `"p${host}"`).join(', ')} }`
  return `iifname ${ports(from)} oifname ${ports(to)} ${what}`
}
