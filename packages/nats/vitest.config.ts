import { mergeConfig } from 'vitest/config'
import { packageTests } from '../../vitest.shared.ts'

/** The test of what waits for a reader asks for garbage collection. */
export default mergeConfig(
  packageTests({
    slowest: ['session-unanswered', 'reader', 'session-cluster', 'session-hydrate', 'session-caught-up'],
  }),
  { test: { execArgv: ['--expose-gc'] } },
)
