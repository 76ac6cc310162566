/** The TypeScript of a Markdown page: each fenced block by itself, with where it stands and how it is marked. */

export interface CodeBlock {
  /** `docs/guide/testing.md:12`, the line of its first statement. */
  readonly at: string
  readonly code: string
  /** Marked `ts run`: a program that ends by itself and throws when it does not hold. */
  readonly runs: boolean
}

/** Throws for a fence that is never closed, and for a mark that means nothing. */
export function codeBlocks(page: string, text: string): CodeBlock[] {
  const blocks: CodeBlock[] = []
  let open: { readonly mark: string; readonly line: number; readonly lines: string[] } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line)
    if (fence === null) open?.lines.push(line)
    else if (open === undefined) open = { mark: fence[1]?.trim() ?? '', line: index + 2, lines: [] }
    else {
      const [language, ...marks] = open.mark.split(' ')
      const at = `${page}:${open.line}`
      if (language === 'ts' && marks.some((mark) => mark !== 'run'))
        throw new Error(`${at}: '${open.mark}' means nothing`)
      if (language === 'ts') blocks.push({ at, code: open.lines.join('\n'), runs: marks.includes('run') })
      open = undefined
    }
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: the block is never closed`)
  return blocks
}
