/**
 * Leaves the cluster when the process is told to end. Opt-in: a library that catches signals by itself takes the process
 * out of its owner's hands.
 */
import { constants } from 'node:os'
import { ShoalError } from '../errors.js'
import type { LeaveOptions, ShoalNode } from './shoal-node.js'

export interface CloseOnSignalOptions extends LeaveOptions {
  /** When everything is closed, end the process by the signal, as if nobody had caught it. Default true. */
  readonly exit?: boolean
}

/**
 * At the first of these signals the node leaves, draining its services, and closes; the process then ends by that signal
 * unless `exit` is false. A second signal ends the process at once. Returns a function that takes the listeners off.
 * Throws INVALID_ARGUMENT for an empty list.
 */
export function closeOnSignal(
  node: ShoalNode,
  signals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT'],
  { exit = true, ...leave }: CloseOnSignalOptions = {},
): () => void {
  if (!Array.isArray(signals) || signals.length === 0) {
    throw new ShoalError('INVALID_ARGUMENT', `closeOnSignal needs signals such as ['SIGTERM', 'SIGINT']`)
  }
  const off = (): void => {
    for (const signal of signals) process.removeListener(signal, onSignal)
  }
  const end = (signal: NodeJS.Signals): void => {
    off()
    endProcess(signal)
  }
  let isClosing = false
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isClosing) end(signal)
    else void goAway(node, leave).then(() => (exit ? end(signal) : off()))
    isClosing = true
  }
  for (const signal of signals) process.on(signal, onSignal)
  return off
}

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
