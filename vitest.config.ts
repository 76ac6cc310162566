import { defineConfig, type ViteUserConfig } from 'vitest/config'

const PURE = ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts', 'test/paper/**/*.test.ts']
const NOT_HERE = ['test/**/*.full.test.ts', '**/node_modules/**']

/** The fast suites: no root, no installed packages, under a few minutes on two cores. */
const config: ViteUserConfig = defineConfig({
  test: {
    projects: [
      // Nothing here outlives its test, so that files can share a process: starting one for each takes longer than the tests.
      { extends: true, test: { name: 'pure', include: PURE, isolate: false } },
      { extends: true, test: { name: 'whole', include: ['test/**/*.test.ts'], exclude: [...NOT_HERE, ...PURE] } },
    ],
    exclude: NOT_HERE,
    pool: 'forks',
    // One more than the cores that this is meant for: many files wait for processes and sockets.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ['default', './test/support/plain-reporter.ts'],
    typecheck: { enabled: false },
  },
})
export default config
