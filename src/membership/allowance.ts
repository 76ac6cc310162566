/**
 * What one packet, or stream, may make us send. Whoever asks names the address of the answer, and a sender's address is easily
 * forged; so to addresses that no member has proven to be its own, the answers to a packet take together no more bytes
 * than it had, and to anybody a packet draws only a few.
 */

/** Messages in one packet that are answered: peers put one into each. */
const ANSWERS_PER_PACKET_MAX = 16
/** What came over a stream cost its sender a handshake, and is larger than any packet: it may draw a packet's worth. */
const STREAM_BYTES = 1_400

export class Allowance {
  #answersLeft = 0
  #bytesLeft = 0
  #isFirst = true

  /** A packet of this size came in. */
  begin(bytes: number): void {
    this.#answersLeft = ANSWERS_PER_PACKET_MAX
    this.#bytesLeft = bytes
    this.#isFirst = true
  }

  /** A message came over a stream, or a verdict on what came before. */
  beginStream(): void {
    this.begin(STREAM_BYTES)
  }

  /** An answer to somebody who has proven the address. */
  tryAnswer(): boolean {
    return --this.#answersLeft >= 0
  }

  /** One of so many bytes to an address that may be a stranger's. */
  tryAnswerStranger(bytes: number): boolean {
    return bytes <= this.#bytesLeft && this.#take(bytes)
  }

  /** The same for an ack: the first may be larger, since the shortest ping is a few bytes shorter than its ack. */
  tryAckStranger(bytes: number): boolean {
    return (this.#isFirst || bytes <= this.#bytesLeft) && this.#take(bytes)
  }

  #take(bytes: number): boolean {
    this.#isFirst = false
    this.#bytesLeft -= bytes
    return this.tryAnswer()
  }
}
