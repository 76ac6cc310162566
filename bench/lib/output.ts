/** Where a result goes: a JSON file, the report for a browser and the tables as Markdown, side by side. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { renderHtml } from '../report/html.js'
import { renderMarkdown } from '../report/markdown.js'
import { parseResult, type Result } from '../report/result.js'

const FOLDER = resolve(import.meta.dirname, '../results')

/** Gives the paths as one would type them. */
export async function writeResult(result: Result): Promise<string[]> {
  await mkdir(FOLDER, { recursive: true })
  const stem = join(FOLDER, result.environment.at.replaceAll(':', '-').slice(0, 19))
  const files: [string, string][] = [
    [`${stem}.json`, `${JSON.stringify(result)}\n`],
    [`${stem}.html`, renderHtml(result)],
    [`${stem}.md`, renderMarkdown(result)],
  ]
  for (const [file, text] of files) await writeFile(file, text)
  return files.map(([file]) => relative(process.cwd(), file))
}

export async function readResult(file: string): Promise<Result> {
  return parseResult(await readFile(file, 'utf8'), file)
}
