import { mergeConfig } from 'vitest/config'
import { packageTests } from '../../vitest.shared.ts'

/** The test of forgotten scans asks for garbage collection. */
export default mergeConfig(packageTests(), { test: { execArgv: ['--expose-gc'] } })
