/** How the demo looks: colour and symbols on a terminal, plain text elsewhere. */
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

const fancy: boolean = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined
const width = 74

function styled(style: Style, text: string): string {
  return fancy ? styleText(style, text) : text
}

function print(line = ''): void {
  process.stdout.write(`${line}\n`)
}

let chapters = 0

export function title(text: string, below: string): void {
  print()
  print(`  ${styled(['bold', 'cyan'], text)}`)
  print(`  ${styled('dim', below)}`)
}

export function chapter(text: string): void {
  chapters++
  const head = `${chapters}  ${text} `
  print()
  print(`  ${styled('bold', head)}${styled('dim', (fancy ? '─' : '-').repeat(Math.max(2, width - head.length)))}`)
}

export function say(text: string): void {
  print(`     ${text}`)
}

/** One thing that happened, with its time. */
export function happened(what: string, time: string, good = true): void {
  const mark = fancy ? styled(good ? 'green' : 'red', good ? '✔' : '✘') : good ? '+' : '!'
  print(`   ${mark} ${what.padEnd(width - 14)}${styled('cyan', time.padStart(11))}`)
}

const SYMBOLS: Readonly<Record<string, { readonly style: Style; readonly symbol: string; readonly plain: string }>> = {
  alive: { style: 'green', symbol: '● alive', plain: 'alive' },
  suspect: { style: 'yellow', symbol: '◐ suspect', plain: 'suspect' },
  dead: { style: 'red', symbol: '✕ dead', plain: 'dead' },
  left: { style: 'dim', symbol: '○ left', plain: 'left' },
  unknown: { style: 'dim', symbol: '·', plain: '.' },
}

/** Each running process's view of every node: a row an observer, a column a member. */
export function views(names: readonly string[], rows: ReadonlyMap<string, Readonly<Record<string, string>>>): void {
  const cell = 11
  const lead = 13
  print()
  print(
    `     ${styled('dim', 'seen by'.padEnd(lead))}${names.map((name) => styled('bold', name.padEnd(cell))).join('')}`,
  )
  for (const [observer, members] of rows) {
    const cells = names.map((name) => {
      const look = SYMBOLS[members[name] ?? 'unknown'] ?? SYMBOLS['unknown']
      const text = (fancy ? look?.symbol : look?.plain) ?? ''
      return styled(look?.style ?? 'dim', text.padEnd(cell))
    })
    print(`     ${observer.padEnd(lead)}${cells.join('')}`)
  }
}

export function summary(rows: readonly (readonly [what: string, time: string])[]): void {
  chapter('Summary')
  for (const [what, time] of rows)
    print(`     ${what.padEnd(width - 14)}${styled(['bold', 'cyan'], time.padStart(11))}`)
  print()
}

export function ms(value: number): string {
  if (value >= 1_000) return `${(value / 1_000).toFixed(1)} s`
  return value >= 10 ? `${value.toFixed(0)} ms` : `${value.toFixed(1)} ms`
}
