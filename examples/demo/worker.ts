/** One process of the demo: one node. It does what it is told over IPC and reports what it sees. */
import { createNode, type ShoalNode } from '../../src/index.js'
import { Prices, type PricesClient } from './contract.js'
import type { CallTally, Command, Report } from './protocol.js'

const CENTS: Readonly<Record<string, number>> = { herring: 199, sprat: 89, sardine: 149 }
const PAUSE_BETWEEN_CALLS_MS = 2
const QUOTES = 500

let node: ShoalNode | undefined
let prices: PricesClient | undefined
let endCalls: (() => Promise<CallTally>) | undefined

function tell(report: Report): void {
  process.send?.(report)
}

function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

async function start({ name, seeds, provides }: Extract<Command, { kind: 'start' }>): Promise<void> {
  const startedAt = machineMs()
  node = await createNode({ cluster: 'demo', name, seeds, bind: '127.0.0.1:0' })
  const tookMs = machineMs() - startedAt
  const services = [...node.getServices().running.keys()]
  for (const member of node.members()) tell({ kind: 'member', type: 'join', member: member.name, at: machineMs() })
  node.on('member', ({ type, member }) => tell({ kind: 'member', type, member: member.name, at: machineMs() }))
  prices = node.stub(Prices)
  if (provides) {
    await node.provide(Prices, {
      quote: (item) => ({ item, cents: CENTS[item] ?? 0, servedBy: name }),
    })
  }
  tell({ kind: 'started', address: node.address, startedAt, tookMs, services })
}

/** The median of some calls: the first ones open the connection and run cold code. */
async function quote(): Promise<void> {
  const micros: number[] = []
  let servedBy = 'nobody'
  for (let i = 0; i < QUOTES; i++) {
    const startedAt = machineMs()
    servedBy = (await prices?.quote('herring'))?.servedBy ?? 'nobody'
    micros.push((machineMs() - startedAt) * 1_000)
  }
  micros.sort((a, b) => a - b)
  tell({ kind: 'quoted', servedBy, micros: micros[QUOTES / 2] ?? Number.NaN })
}

/** Calls one after the other until told to stop, spread over the providers by shoal. */
function beginCalls(client: PricesClient): () => Promise<CallTally> {
  let running = true
  let ok = 0
  let slowestMs = 0
  const failed: string[] = []
  const servedBy: Record<string, number> = {}
  const loop = async (): Promise<CallTally> => {
    while (running) {
      const startedAt = machineMs()
      try {
        const quote = await client.quote('sprat')
        ok++
        servedBy[quote.servedBy] = (servedBy[quote.servedBy] ?? 0) + 1
      } catch (error) {
        failed.push(String(error))
      }
      slowestMs = Math.max(slowestMs, machineMs() - startedAt)
      await new Promise((resolve) => setTimeout(resolve, PAUSE_BETWEEN_CALLS_MS))
    }
    return { ok, failed, servedBy, slowestMs }
  }
  const done = loop()
  return () => {
    running = false
    return done
  }
}

async function obey(command: Command): Promise<void> {
  switch (command.kind) {
    case 'start':
      return start(command)
    case 'quote':
      return quote()
    case 'begin-calls':
      if (prices !== undefined) endCalls = beginCalls(prices)
      return tell({ kind: 'begun' })
    case 'end-calls':
      if (endCalls !== undefined) tell({ kind: 'tally', tally: await endCalls() })
      return
    case 'view': {
      const members = Object.fromEntries((node?.members() ?? []).map((member) => [member.name, member.state]))
      return tell({ kind: 'view', members, providers: node?.getNodes(Prices) ?? [] })
    }
    case 'leave':
      await node?.leave()
      return tell({ kind: 'left' })
    case 'close':
      await node?.close()
      process.disconnect?.()
  }
}

process.on('message', (command: Command) => {
  obey(command).catch((error: unknown) => tell({ kind: 'failed', message: String(error) }))
})
process.on('disconnect', () => process.exit(0))
