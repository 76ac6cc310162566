/**
 * Whether anybody answers this node. Each failing probe asks its target over two ways and some helpers besides; when
 * those of several members in a row bring no word from anyone, the fault is more likely ours, and what we think of others
 * is no evidence. Counts probes rather than time: an unhealthy node probes slowly. Knows nothing of what follows.
 */

/** One may be dead, and its helpers' answers lost. */
const UNANSWERED_MEMBERS = 2

export class Silence {
  /** Members probed in a row of whom nobody said anything at all. */
  #unanswered = 0
  #lastUnanswered: string | undefined
  #answered = false
  readonly #isNoticed: boolean

  constructor(isNoticed: boolean) {
    this.#isNoticed = isNoticed
  }

  /** Nobody answers. It lasts until somebody does. */
  get lasts(): boolean {
    return this.#isNoticed && this.#unanswered >= UNANSWERED_MEMBERS
  }

  /** A probe begins: what was answered before it says nothing of now. */
  handleProbe(): void {
    this.#answered = false
  }

  /** The probe of this member has failed. */
  handleFailure(member: string): void {
    if (this.#answered || member === this.#lastUnanswered) return
    this.#unanswered++
    this.#lastUnanswered = member
  }

  /** Somebody answered something of ours, so packets go both ways. True if that ends a silence. */
  handleAnswer(): boolean {
    const ends = this.lasts
    this.#unanswered = 0
    this.#lastUnanswered = undefined
    this.#answered = true
    return ends
  }
}
