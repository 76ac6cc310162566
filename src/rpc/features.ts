/**
 * What a peer can do beyond the first version of the protocol, as bits of its hello or welcome. Unknown ones are ignored:
 * what a peer does not have is not used with it.
 */

export const Feature = {
  /** Reads messages in pieces. */
  pieces: 1,
  /** Serves and calls streams. */
  streams: 2,
} as const

/** All that this version can do. */
export const OWN_FEATURES: number = Feature.pieces | Feature.streams
