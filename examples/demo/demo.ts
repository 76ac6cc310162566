/**
 * `npm run demo`: five processes find each other from one seed, call each other, lose one to SIGKILL while calls run,
 * gain one, and see one leave. Everything is real: processes, sockets, time.
 */
import { DemoProcess } from './process.js'
import { chapter, happened, ms, say, summary, title, views } from './screen.js'

const DEATH_LIMIT_MS = 30_000
const NAMES = ['shop-1', 'shop-2', 'shop-3', 'web-1', 'web-2']
const LATECOMER = 'shop-4'

const processes = new Map<string, DemoProcess>()
const totals: (readonly [string, string])[] = []

function get(name: string): DemoProcess {
  const found = processes.get(name)
  if (found === undefined) throw new Error(`no process ${name}`)
  return found
}

function running(): DemoProcess[] {
  return [...processes.values()].filter((process) => process.isRunning)
}

function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

async function launch(name: string, seeds: readonly string[]): ReturnType<typeof begin> {
  processes.set(name, new DemoProcess(name))
  return begin(name, seeds)
}

function begin(name: string, seeds: readonly string[]) {
  return get(name).ask({ kind: 'start', name, seeds, provides: name.startsWith('shop') }, 'started')
}

async function showViews(): Promise<void> {
  const rows = new Map<string, Readonly<Record<string, string>>>()
  for (const each of running()) rows.set(each.name, (await each.ask({ kind: 'view' }, 'view')).members)
  views([...processes.keys()], rows)
}

/** The latest of all running processes (but one) to see something. */
async function allSaw(type: string, member: string, except = member): Promise<number> {
  const observers = running().filter((each) => each.name !== except)
  return Math.max(...(await Promise.all(observers.map((each) => each.saw(type, member, DEATH_LIMIT_MS)))))
}

async function converge(): Promise<string> {
  chapter('Five processes, one seed')
  const seed = await launch('shop-1', [])
  say(`shop-1 is up at ${seed.address} (pid ${get('shop-1').pid}); it is the seed of the others`)
  const started = await Promise.all(NAMES.slice(1).map((name) => launch(name, [seed.address])))
  const seen = await Promise.all(NAMES.map((name) => allSaw('join', name, '')))
  const took = Math.max(...seen) - Math.max(...started.map(({ startedAt }) => startedAt))
  happened('after the last of them started, every process sees all five', ms(took))
  totals.push(['five processes see each other, after the last start', ms(took)])
  await showViews()
  return seed.address
}

async function callAround(): Promise<void> {
  chapter('Typed calls: the local instance first, another node otherwise')
  for (const name of ['shop-2', 'web-1']) {
    const { servedBy, micros } = await get(name).ask({ kind: 'quote' }, 'quoted')
    const where = servedBy === name ? 'itself' : `${servedBy}, over TCP`
    happened(`${name}: prices.quote('herring') served by ${where}`, `${micros.toFixed(0)} µs`)
    totals.push([servedBy === name ? 'a local call (median)' : 'a remote call (median)', `${micros.toFixed(0)} µs`])
  }
}

async function killOne(): Promise<boolean> {
  chapter('SIGKILL while calls run')
  const callers = [get('web-1'), get('web-2')]
  await Promise.all(callers.map((caller) => caller.ask({ kind: 'begin-calls' }, 'begun')))
  say('web-1 and web-2 call prices.quote all the time; it is declared idempotent')
  await new Promise((resolve) => setTimeout(resolve, 500))
  const victim = get('shop-2')
  const killedAt = machineMs()
  victim.kill()
  happened(`shop-2 (pid ${victim.pid}) is killed`, 'SIGKILL', false)
  const suspected = Math.min(
    ...(await Promise.all(callers.map((caller) => caller.saw('suspect', 'shop-2', DEATH_LIMIT_MS)))),
  )
  happened('a caller suspects shop-2', `after ${ms(suspected - killedAt)}`)
  const dead = await allSaw('dead', 'shop-2')
  happened('all others know that shop-2 is dead', `after ${ms(dead - killedAt)}`)
  const reports = await Promise.all(callers.map((caller) => caller.ask({ kind: 'end-calls' }, 'tally')))
  const ok = reports.reduce((sum, { tally }) => sum + tally.ok, 0)
  const failures = reports.flatMap(({ tally }) => tally.failed)
  const slowest = Math.max(...reports.map(({ tally }) => tally.slowestMs))
  for (const { tally } of reports) say(`answered by ${JSON.stringify(tally.servedBy)}`)
  happened(`${ok} calls answered, ${failures.length} failed; the slowest took`, ms(slowest), failures.length === 0)
  for (const failure of failures.slice(0, 3)) say(failure)
  totals.push(['SIGKILL until a caller suspected it', ms(suspected - killedAt)])
  totals.push(['SIGKILL until all knew it dead', ms(dead - killedAt)])
  totals.push([`calls that failed meanwhile, of ${ok + failures.length}`, `${failures.length}`])
  await showViews()
  return failures.length === 0
}

async function joinLate(seed: string): Promise<boolean> {
  chapter('A new process joins')
  const { startedAt, tookMs, services } = await launch(LATECOMER, [seed])
  const known = await allSaw('join', LATECOMER)
  happened(`${LATECOMER} joined and knew the services ${JSON.stringify(services)} at once`, ms(tookMs))
  happened('all others know it, counted from its start', ms(known - startedAt))
  const { servedBy } = await get(LATECOMER).ask({ kind: 'quote' }, 'quoted')
  happened(`${LATECOMER}: prices.quote('herring') was served by ${servedBy}`, '')
  totals.push(['a late joiner is in, with all services', ms(tookMs)])
  return services.includes('prices')
}

async function leaveOne(): Promise<void> {
  chapter('A graceful leave')
  const leaver = get('shop-3')
  const startedAt = machineMs()
  await leaver.ask({ kind: 'leave' }, 'left')
  const known = await allSaw('leave', 'shop-3')
  happened('shop-3 left, and all others know: no suspicion, no timeout', ms(known - startedAt))
  await leaver.close()
  totals.push(['a leave is known to all', ms(known - startedAt)])
  await showViews()
}

async function main(): Promise<void> {
  const startedAt = machineMs()
  title('shoal', 'processes that find each other and call each other, with no broker')
  const seed = await converge()
  await callAround()
  const noneFailed = await killOne()
  const sawServices = await joinLate(seed)
  await leaveOne()
  await Promise.all(running().map((each) => each.close()))
  totals.push(['the whole demo', ms(machineMs() - startedAt)])
  summary(totals)
  if (!noneFailed || !sawServices) process.exitCode = 1
}

process.once('exit', () => {
  for (const each of running()) each.kill()
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

main().catch((error: unknown) => {
  process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})
