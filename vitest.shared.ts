import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** Every package runs its tests this way; the JSON report is what the closing count is made of. */
export function packageTests(options: { readonly timeoutMs?: number } = {}): ViteUserConfig {
  return defineConfig({
    test: {
      include: ['test/**/*.test.ts'],
      testTimeout: options.timeoutMs ?? 120_000,
      hookTimeout: 60_000,
      pool: 'forks',
      maxWorkers: 2,
      reporters: ['default', ['json', { outputFile: 'reports/vitest.json' }]],
    },
  })
}
