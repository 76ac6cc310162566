import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** What is slow, or needs root, network namespaces or the real `serf`. One file at a time: they share the machine's ports and load. */
const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/**/*.full.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 120_000,
    reporters: ['default', './test/support/plain-reporter.ts'],
  },
})
export default config
