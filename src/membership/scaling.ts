/** How the protocol's numbers grow with the cluster: memberlist's formulas, as pure arithmetic. */

/** Packets that a rumour rides on: mult * ceil(log10(n + 1)). */
export function retransmitLimit(mult: number, members: number): number {
  return mult * Math.ceil(Math.log10(members + 1))
}

/**
 * What we send instead: memberlist's formula is thin in small clusters (8 packets at 30 members, where a fifth of them
 * lost leaves somebody out now and then). Three rounds' worth is cheap, and not more than three for each other member.
 */
export function sendLimit(mult: number, members: number): number {
  return Math.max(retransmitLimit(mult, members), Math.min(3 * mult, 3 * (members - 1)))
}

/**
 * A node tells its own news to so many members itself, at once. In a small cluster that is everybody: one hop, and far
 * fewer packets than a rumour takes that reaches everybody by being passed on.
 */
export const SOURCE_FANOUT = 32

/**
 * Rounds of `fanout` packets in which whoever hears of something passes it on at once. Where the source told everybody
 * one round is enough for what was lost on the way. Beyond, after k packets of each of n members about n * e^-k have
 * not heard of it, here a hundredth of one. More would cost everybody's time at the very moment when the news is acted
 * upon; the ticks send what is left of the limit.
 */
export function relayRounds(members: number, fanout: number): number {
  if (members - 1 <= SOURCE_FANOUT) return 1
  return Math.ceil((Math.log(members) + 4.6) / fanout)
}

/** The least time a suspicion lasts; the log factor is truncated to three decimals, as memberlist does. */
export function suspicionTimeoutMs(mult: number, members: number, probeIntervalMs: number): number {
  const factor = Math.max(1, Math.log10(Math.max(1, members)))
  return (mult * probeIntervalMs * Math.floor(factor * 1_000)) / 1_000
}

/** Push/pull is done by every node: beyond 32 members each doubling stretches the interval by one more. */
export function pushPullIntervalMs(intervalMs: number, members: number): number {
  if (members <= 32) return intervalMs
  return intervalMs * (Math.ceil(Math.log2(members) - Math.log2(32)) + 1)
}
