import type { Options } from 'tsup'

const entry = {
  index: 'src/index.ts',
  'membership/index': 'src/membership/index.ts',
  'registry/index': 'src/registry/index.ts',
  'rpc/index': 'src/rpc/index.ts',
  'testing/index': 'src/testing/index.ts',
}
const shared = { entry, target: 'node20', platform: 'node', sourcemap: true, splitting: true } as const
// tsup 8 sets baseUrl by itself, which TypeScript 6 reports as deprecated.
// What a node runs on is no option of users.
const dts = { entry, compilerOptions: { ignoreDeprecations: '6.0', stripInternal: true } }

const config: Options = { ...shared, format: ['esm', 'cjs'], dts }
export default config
