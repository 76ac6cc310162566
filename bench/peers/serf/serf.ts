/**
 * `serf agent` in the protocol of the other peers: it takes its orders as flags and signals, and its log is its report.
 * The log's own times are whole seconds, so the time of an event is when its line arrived here. An agent holds its log
 * back until it has joined; its first line, which it prints at once, is where the join begins.
 */
import type { Launch, Report } from '../../lib/line-process.js'

/** Each agent has a loopback address of its own, so that none needs a port of its own. */
export function launchSerf(name: string, address: string, seeds: string): Launch {
  const bind = ['-bind', `${address}:7946`, '-rpc-addr', `${address}:7373`]
  const join = seeds === '' ? [] : ['-join', seeds]
  return {
    command: 'setpriv', // an agent does not read its stdin: the kernel ends it with the bench
    args: ['--pdeathsig', 'KILL', 'serf', 'agent', '-node', name, ...bind, ...join],
    translate: translator(address, seeds === ''),
  }
}

const EVENT = /EventMember(Join|Leave|Failed): (\S+)/

function translator(address: string, isFirst: boolean): (line: string, at: number) => Report | undefined {
  let calledAt = Number.NaN
  return (line, at) => {
    if (line.includes('Starting Serf agent')) calledAt = at
    if (isFirst ? line.includes('Serf agent running') : line.includes('agent: joined')) {
      return { event: 'started', address: `${address}:7946`, calledAt }
    }
    const [, kind, name] = EVENT.exec(line) ?? []
    if (kind === undefined || name === undefined) return undefined
    return { event: 'saw', what: kind === 'Join' ? 'join' : 'gone', name, at }
  }
}
