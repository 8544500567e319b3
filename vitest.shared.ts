import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig, type ViteUserConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const SETUP = fileURLToPath(new URL('vitest.setup.ts', import.meta.url))

/** What a package says about its tests. */
export interface PackageTests {
  /**
   * Files without their ending, the slowest first: they begin before all others, so that none of them is
   * what the rest of the machine waits for in the end.
   */
  readonly slowest?: readonly string[]
  /** How many files run at a time. Three where tests wait for servers most of the time. @default 2 */
  readonly workers?: number
  /** How many concurrent tests of a file run at a time, where they do little but wait. @default vitest's 5 */
  readonly atATime?: number
}

/** Every package runs its tests this way; the JSON report is what the closing count is made of. */
export function packageTests(options: PackageTests = {}): ViteUserConfig {
  const { slowest = [], workers = 2, atATime } = options
  return defineConfig({
    test: {
      include: ['test/**/*.test.ts'],
      setupFiles: [SETUP],
      testTimeout: 120_000,
      hookTimeout: 60_000,
      pool: 'forks',
      maxWorkers: workers,
      ...(atATime === undefined ? {} : { maxConcurrency: atATime }),
      sequence: { sequencer: slowestFirst(slowest) },
      reporters: ['default', ['json', { outputFile: 'reports/vitest.json' }]],
    },
  })
}

/** Throws for a name of which there is no file. */
function slowestFirst(slowest: readonly string[]): typeof BaseSequencer {
  const place = ({ moduleId }: TestSpecification): number => {
    const at = slowest.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`))
    return at === -1 ? slowest.length : at
  }
  return class extends BaseSequencer {
    override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
      const { root } = this.ctx.config
      const gone = slowest.filter((name) => !existsSync(join(root, 'test', `${name}.test.ts`)))
      if (gone.length > 0)
        throw new Error(`${root} calls these its slowest, and has none of them: ${gone.join(', ')}`)
      return (await super.sort(files)).sort((a, b) => place(a) - place(b))
    }
  }
}
