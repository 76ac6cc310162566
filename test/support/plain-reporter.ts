/**
 * Closes a run with one plain line, `N passed, N failed, N skipped`, that any tool can read. It is written as the
 * process exits, so that nothing of the other reporters comes after it.
 */
import type { Reporter, SerializedError, TestModule } from 'vitest/node'

export default class PlainReporter implements Reporter {
  #line: string | undefined

  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    if (this.#line === undefined) process.once('exit', () => process.stdout.write(`\n${this.#line}\n`))
    this.#line = closingLine(modules, errors)
  }
}

function closingLine(modules: readonly TestModule[], errors: readonly SerializedError[]): string {
  let passed = 0
  let failed = errors.length
  let skipped = 0
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      if (state === 'passed') passed++
      else if (state === 'failed') failed++
      else skipped++
    }
    failed += brokenParts(module)
  }
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

/** A file that does not load, or a hook that fails, is a failure without a test of its own. */
function brokenParts(module: TestModule): number {
  const suites = [...module.children.allSuites()].filter((suite) => suite.errors().length > 0).length
  const parts = suites + (module.errors().length > 0 ? 1 : 0)
  const hasFailedTest = [...module.children.allTests('failed')].length > 0
  return parts === 0 && module.state() === 'failed' && !hasFailedTest ? 1 : parts
}
