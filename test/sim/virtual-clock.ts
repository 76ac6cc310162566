/**
 * Virtual time: a binary heap of things to do, in the order of their instants and, within one, of their arrival.
 * Nothing else in the simulator has a notion of time.
 */

interface Scheduled {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

export class VirtualClock {
  readonly #heap: Scheduled[] = []
  #now = 0
  #order = 0

  /** Milliseconds since the simulation began. */
  get now(): number {
    return this.#now
  }

  get pending(): number {
    return this.#heap.length
  }

  at(instant: number, run: () => void): void {
    const scheduled: Scheduled = { at: Math.max(instant, this.#now), order: this.#order++, run }
    const heap = this.#heap
    let hole = heap.length
    heap.push(scheduled)
    while (hole > 0) {
      const parent = (hole - 1) >> 1
      const above = heap[parent] as Scheduled
      if (isBefore(above, scheduled)) break
      heap[hole] = above
      hole = parent
    }
    heap[hole] = scheduled
  }

  after(delayMs: number, run: () => void): void {
    this.at(this.#now + delayMs, run)
  }

  /** Runs everything due up to `instant`, which is then the time. */
  runUntil(instant: number): void {
    for (let first = this.#heap[0]; first !== undefined && first.at <= instant; first = this.#heap[0]) {
      this.#removeFirst()
      this.#now = first.at
      first.run()
    }
    this.#now = Math.max(this.#now, instant)
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop() as Scheduled
    const size = heap.length
    if (size === 0) return
    let hole = 0
    for (let child = 1; child < size; child = 2 * hole + 1) {
      const right = heap[child + 1]
      if (right !== undefined && isBefore(right, heap[child] as Scheduled)) child++
      const smaller = heap[child] as Scheduled
      if (isBefore(last, smaller)) break
      heap[hole] = smaller
      hole = child
    }
    heap[hole] = last
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
