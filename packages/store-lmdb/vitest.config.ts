import { mergeConfig } from 'vitest/config'
import { packageTests } from '../../vitest.shared.ts'

/** The test of forgotten scans asks for garbage collection. */
export default mergeConfig(
  packageTests({
    slowest: ['conformance-bulk', 'conformance-batch', 'conformance-os', 'damage', 'kill', 'background-walk'],
  }),
  { test: { execArgv: ['--expose-gc'] } },
)
