import { bindCases, type ConformanceCase } from './conformance-case.ts'
import { registerCases, type TestFunction } from './register-cases.ts'
import { abortCases } from './source-cases/aborts.ts'
import { deliveryCases } from './source-cases/delivery.ts'
import { describeCases } from './source-cases/describe.ts'
import { historyCases } from './source-cases/history.ts'
import { prefixCases } from './source-cases/prefixes.ts'
import { readerCases } from './source-cases/reads.ts'
import { removalCases } from './source-cases/removals.ts'
import { sessionCases } from './source-cases/sessions.ts'
import { writeCases } from './source-cases/writes.ts'
import type { SourceSuite } from './source-suite.ts'

/**
 * Every requirement on a source, bound to `suite`. Where a feature is off its cases are skipped with
 * the reason and the opposite case runs instead. A known gap that names no case is a `RangeError`.
 */
export function sourceCases(suite: SourceSuite): readonly ConformanceCase[] {
  return bindCases(
    [
      ...deliveryCases,
      ...prefixCases,
      ...removalCases,
      ...sessionCases,
      ...abortCases,
      ...writeCases,
      ...readerCases,
      ...describeCases,
      ...historyCases,
    ],
    suite,
  )
}

/** Registers `sourceCases(suite)` with a runner: `test` of vitest, node:test, jest. */
export function runSourceConformance(test: TestFunction, suite: SourceSuite): void {
  registerCases(test, sourceCases(suite))
}
