/**
 * What lies between the machines of a test network: says of each packet whether it comes through, and when. Who sends
 * it, to whom, and what it means is the affair of the machines and their sockets.
 */
import type { Clock } from '../clock.js'
import type { Roads } from './roads.js'

/** What has happened to the traffic so far; segments of streams count like datagrams. */
export interface TrafficCounts {
  packets: number
  lost: number
  cut: number
  connections: number
}

export class MemoryNetwork {
  readonly clock: Clock
  readonly roads: Roads
  readonly counts: TrafficCounts = { packets: 0, lost: 0, cut: 0, connections: 0 }

  constructor(clock: Clock, roads: Roads) {
    this.clock = clock
    this.roads = roads
  }

  /** Whether one packet comes through; counts it. */
  passes(from: string, to: string): boolean {
    this.counts.packets++
    const passage = this.roads.pass(from, to)
    if (passage === 'passes') return true
    this.counts[passage]++
    return false
  }

  /** Runs it when something that leaves now has arrived; in no time only after what waits already. */
  afterDelay(from: string, to: string, run: () => void): void {
    const delayMs = this.roads.delayMs(from, to)
    if (delayMs === 0) this.clock.setImmediate(run)
    else this.clock.setTimeout(run, delayMs)
  }
}
