/**
 * Parts of the failure detector that an experiment can leave out, to measure what each is worth. All are on wherever
 * shoal runs; no option of a node reaches here. The other parts have numbers in SwimConfig: `awarenessMax` 1 is no
 * local health, `suspicionMaxTimeoutMult` 1 no dogpile, `burstPacketsPerSecond` 0 no bursts.
 */

export interface SwimFeatures {
  /** A ping to a suspect carries the suspicion (Lifeguard 3.3). */
  readonly buddy: boolean
  /** A suspect is told twice more before its suspicion runs out. */
  readonly lastWord: boolean
  /** A suspect that answers only over TCP is told there. */
  readonly tellByTcp: boolean
  /** Whoever spreads an accusation that was refuted long ago is told so. */
  readonly corrections: boolean
  /** Whom nobody answers doubts itself: it spreads no verdicts, and gives suspects their last word once it is heard. */
  readonly silence: boolean
  /** Members that died lately are tried again more often than Serf does, and twice once they answer. */
  readonly eagerHealing: boolean
  /**
   * Whether this loop takes its turn, and its deadlines count; default always. A model of memberlist needs it: its
   * prober and its gossip are goroutines, and stand still in a send that blocks while its suspicions run out.
   */
  readonly mayRun?: (loop: Loop) => boolean
}

export type Loop = 'probe' | 'gossip'

export const ALL_FEATURES: SwimFeatures = {
  buddy: true,
  lastWord: true,
  tellByTcp: true,
  corrections: true,
  silence: true,
  eagerHealing: true,
}
