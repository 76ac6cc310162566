/** Why news were not taken in, counted by reason. */

export interface DropCounts {
  /** Not a message of shoal. */
  foreign: number
  /** Shoal's magic, but not a message that we read. */
  malformed: number
  /** A kind of message that does not belong where it came. */
  misplaced: number
  /** At or below what is held, or of a boot that is over. */
  stale: number
  /** Past a gap; a sync was asked for. */
  gap: number
  /** About our own services, which only we write. */
  own: number
  /** A node announced more than it may. */
  tooLarge: number
  /** A large meta, a question or a comparison that was not asked for, or one too many. */
  unwanted: number
}

export function newDropCounts(): DropCounts {
  return { foreign: 0, malformed: 0, misplaced: 0, stale: 0, gap: 0, own: 0, tooLarge: 0, unwanted: 0 }
}
