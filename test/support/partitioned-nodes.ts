/**
 * Run inside a network namespace of its own: three memberships at 127.0.0.1 to 127.0.0.3, cut by real packet filters and
 * healed again. Prints one line of JSON with the views at each stage, and how long the stages took.
 */
import { execFileSync } from 'node:child_process'
import { FAST, WatchedMembership } from './membership-node.js'
import { until } from './until.js'

/**
 * Hook `input` loses packets in silence; `output` would tell the sender. On loopback a dialled stream's source is
 * 127.0.0.1 whoever dials, so streams are cut for all of them: `a` and `b` need none as long as UDP goes through.
 */
const CUT = `table inet fault {
  chain cut {
    type filter hook input priority 0; policy accept;
    ip saddr { 127.0.0.1, 127.0.0.2 } ip daddr 127.0.0.3 meta l4proto udp drop
    ip saddr 127.0.0.3 ip daddr { 127.0.0.1, 127.0.0.2 } meta l4proto udp drop
    tcp dport 7946 drop
  }
}
`
const UDP_CUT = `table inet fault {
  chain cut {
    type filter hook input priority 0; policy accept;
    ip daddr 127.0.0.3 meta l4proto udp drop
  }
}
`
/** Here the sender is told: EPERM at each send. */
const OUTPUT_CUT = `table inet fault {
  chain cut {
    type filter hook output priority 0; policy accept;
    ip daddr 127.0.0.3 meta l4proto udp drop
  }
}
`
const LIMIT_MS = 20_000
/** Many suspicions long: whoever is to be suspected has been. */
const UDP_CUT_MS = 3_000

const nodes: WatchedMembership[] = []

function nft(rules: string): void {
  execFileSync('nft', ['-f', '-'], { input: rules, stdio: ['pipe', 'inherit', 'inherit'] })
}

function views(): Record<string, Record<string, string>> {
  return Object.fromEntries(nodes.map((node) => [node.name, node.view()]))
}

/** Until every node sees the members in these states; how long that took. */
async function untilViews(wanted: Readonly<Record<string, Readonly<Record<string, string>>>>): Promise<number> {
  const start = performance.now()
  const sees = (node: WatchedMembership): boolean =>
    Object.entries(wanted[node.name] ?? {}).every(([name, state]) => node.view()[name] === state)
  await Promise.all(nodes.map((node) => node.until(sees, LIMIT_MS)))
  return Math.round(performance.now() - start)
}

const ALL = { a: 'alive', b: 'alive', c: 'alive' }
const AGREED = { a: ALL, b: ALL, c: ALL }

for (const [i, name] of ['a', 'b', 'c'].entries()) {
  nodes.push(await WatchedMembership.start({ cluster: 'netns', name, bind: `127.0.0.${i + 1}:7946`, tuning: FAST }))
}
// Joined once and without permanent seeds: only healing can bring the halves together again.
for (const node of nodes.slice(1)) await node.membership.join(['127.0.0.1:7946'])
await untilViews(AGREED)

nft(CUT)
const cutMs = await untilViews({ a: { c: 'dead' }, b: { c: 'dead' }, c: { a: 'dead', b: 'dead' } })
const cutViews = views()
nft('delete table inet fault\n')
const healMs = await untilViews(AGREED)

for (const node of nodes) node.events.length = 0
nft(UDP_CUT)
await new Promise((resolve) => setTimeout(resolve, UDP_CUT_MS))
const udpCutViews = views()
const diagnosed = nodes.flatMap(({ name, notices }) =>
  notices.flatMap((notice) => (notice.kind === 'udp-blocked' ? [{ by: name, ...notice }] : [])),
)
const blockedFacts = nodes.map(({ membership }) => membership.member('c')?.udpReachable)
nft('delete table inet fault\n')
await untilViews(AGREED)
const recovered = (): boolean =>
  nodes.slice(0, 2).every(({ membership }) => membership.member('c')?.udpReachable === true)
await until('UDP is known to work again', recovered)

nft(OUTPUT_CUT)
await until('the system refused to send', () => (nodes[0]?.membership.stats().sendErrorsByCode['EPERM'] ?? 0) > 5)
nft('delete table inet fault\n')
await untilViews(AGREED)
const pingAfterEperm = await nodes[0]?.membership.ping('c', { timeout: 5_000 })

process.stdout.write(
  `${JSON.stringify({ cutMs, cutViews, healMs, udpCutViews, diagnosed, blockedFacts, pingAfterEperm, healed: views() })}\n`,
)
await Promise.all(nodes.map((node) => node.membership.close()))
