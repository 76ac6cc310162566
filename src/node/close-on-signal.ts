/**
 * Leaves the cluster when the process is told to end. Opt-in: a library that catches signals by itself takes the process
 * out of its owner's hands.
 */
import { constants } from 'node:os'
import { ShoalError } from '../errors.js'
import { type CloseOnSignalOptions, checkNames, type LeaveOptions } from './node-options.js'
import type { ShoalNode } from './shoal-node.js'
import { checkTimeLimit } from './time-limit.js'

/** The nodes of this process that are on their way out: the last one ends it. */
const underWay = new Set<object>()

/**
 * At the first of these signals the node leaves, draining its services, and closes; the process then ends by that signal
 * unless `exit` is false, and of several nodes when the last has closed. A second signal ends the process at once. Returns a function that takes the listeners off.
 * Throws INVALID_ARGUMENT for a list that is empty or names what is no signal, or none that can be caught, and for a
 * `drain` that is no time.
 */
export function closeOnSignal(
  node: ShoalNode,
  signals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT'],
  options: CloseOnSignalOptions = {},
): () => void {
  checkSignals(signals)
  const { exit = true, ...leave } = checkNames('closeOnSignal', options)
  if (leave.drain !== undefined) checkTimeLimit('drain', leave.drain)
  const off = (): void => {
    for (const signal of signals) process.removeListener(signal, onSignal)
  }
  const end = (signal: NodeJS.Signals): void => {
    off()
    endProcess(signal)
  }
  let isClosing = false
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isClosing) {
      end(signal)
      return
    }
    isClosing = true
    underWay.add(onSignal)
    void goAway(node, leave).then(() => {
      underWay.delete(onSignal)
      if (exit && underWay.size === 0) end(signal)
      else off()
    })
  }
  for (const signal of signals) process.on(signal, onSignal)
  return off
}

/** Node.js takes any name as that of an event, and then no signal ever comes. */
function checkSignals(signals: readonly unknown[]): void {
  const isSome = Array.isArray(signals) && signals.length > 0
  const wrong = isSome ? signals.find((signal) => !canBeCaught(signal)) : undefined
  if (isSome && wrong === undefined) return
  const got = isSome ? `; ${typeof wrong === 'string' ? `'${wrong}'` : typeof wrong} is none that can be caught` : ''
  throw new ShoalError('INVALID_ARGUMENT', `closeOnSignal needs signals such as ['SIGTERM', 'SIGINT']${got}`)
}

function canBeCaught(signal: unknown): boolean {
  return typeof signal === 'string' && Object.hasOwn(constants.signals, signal) && !UNCATCHABLE.has(signal)
}

const UNCATCHABLE: ReadonlySet<string> = new Set(['SIGKILL', 'SIGSTOP'])

/** So long the signal may take to end this process; then it does so itself, with the status that shells give to it. */
const SIGNAL_MS = 100

/** The first process of a container ignores signals that it sends to itself. */
function endProcess(signal: NodeJS.Signals): void {
  process.kill(process.pid, signal)
  setTimeout(() => process.exit(128 + constants.signals[signal]), SIGNAL_MS)
}

/** A node that cannot say goodbye, for it is closed already, closes all the same. */
async function goAway(node: ShoalNode, options: LeaveOptions): Promise<void> {
  await node.leave(options).catch(() => {})
  await node.close()
}
