/** Snapshots that can be told apart: the number is in the first address, and decides all the others and how many. */
import { encodeSnapshot } from '../../src/membership/snapshot.js'

export function numberedSnapshot(number: number): string {
  const members = [{ name: `${number}`, address: `10.0.0.1:${(number % 65_535) + 1}` }]
  for (let i = 0; i < number % 300; i++)
    members.push({ name: `${number}-${i}`, address: `10.0.${i >> 8}.${i & 255}:7946` })
  return encodeSnapshot('kill', members)
}

/** Its number; undefined unless the text is exactly what was written for it. */
export function numberOf(text: string): number | undefined {
  const number = Number(/\["(\d+)","10\.0\.0\.1:/.exec(text)?.[1])
  return text === numberedSnapshot(number) ? number : undefined
}
