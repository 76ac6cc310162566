import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** The fast suites: no root, no installed packages, under a few minutes on two cores. */
const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.full.test.ts', '**/node_modules/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ['default', './test/support/plain-reporter.ts'],
    typecheck: { enabled: false },
  },
})
export default config
