/**
 * Virtual time: a binary heap of things to do, in the order of their instants and, within one, of their arrival.
 * Whoever runs on it has no other notion of time.
 */

interface Scheduled {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

export class EventQueue {
  readonly #heap: Scheduled[] = []
  #now = 0
  #order = 0

  /** Milliseconds since it began. */
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
    while (this.runNext(instant));
    this.#now = Math.max(this.#now, instant)
  }

  /** Runs the first thing if it is due by `instant`, at its own instant; false when there is none. */
  runNext(instant: number): boolean {
    const first = this.#heap[0]
    if (first === undefined || first.at > instant) return false
    this.#removeFirst()
    this.#now = first.at
    first.run()
    return true
  }

  clear(): void {
    this.#heap.length = 0
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
