import { bindCases, type ConformanceCase } from './conformance-case.ts'
import { objectAbortCases } from './object-cases/aborts.ts'
import { conditionCases } from './object-cases/conditions.ts'
import { contentCases } from './object-cases/contents.ts'
import { objectListingCases } from './object-cases/listings.ts'
import { objectNameCases } from './object-cases/names.ts'
import { wholenessCases } from './object-cases/wholeness.ts'
import type { ObjectSuite } from './object-suite.ts'
import { registerCases, type TestFunction } from './register-cases.ts'

/**
 * Every requirement on a transport of artifacts, bound to `suite`. Where a capability is off its cases are
 * skipped with the reason and the opposite case runs instead. A known gap that names no case is a `RangeError`.
 */
export function objectStoreCases(suite: ObjectSuite): readonly ConformanceCase[] {
  return bindCases(
    [
      ...contentCases,
      ...objectNameCases,
      ...conditionCases,
      ...wholenessCases,
      ...objectListingCases,
      ...objectAbortCases,
    ],
    suite,
  )
}

/** Registers `objectStoreCases(suite)` with a runner: `test` of vitest, node:test, jest. */
export function runObjectStoreConformance(test: TestFunction, suite: ObjectSuite): void {
  registerCases(test, objectStoreCases(suite))
}
