import { bindCases, type ConformanceCase } from './conformance-case.ts'
import { registerCases, type TestFunction } from './register-cases.ts'
import { applyCases } from './store-cases/apply.ts'
import { copyCases } from './store-cases/copy.ts'
import { crashCases } from './store-cases/crash.ts'
import { cursorCases } from './store-cases/cursor.ts'
import { damageCases } from './store-cases/damage.ts'
import { deletedKeyCases } from './store-cases/deleted-keys.ts'
import { faultCases } from './store-cases/faults.ts'
import { handleCases } from './store-cases/handles.ts'
import { killedRebuildCases } from './store-cases/killed-rebuilds.ts'
import { limitCases } from './store-cases/limits.ts'
import { lineageCases } from './store-cases/lineage.ts'
import { outsideCases } from './store-cases/outside.ts'
import { randomModelCases } from './store-cases/random-model.ts'
import { rangeCases } from './store-cases/ranges.ts'
import { readCases } from './store-cases/reads.ts'
import { readerCases } from './store-cases/readers.ts'
import { recoveryCases } from './store-cases/recovery.ts'
import { stagingCases } from './store-cases/staging.ts'
import { viewCases } from './store-cases/views.ts'
import type { StoreSuite } from './store-suite.ts'

/**
 * Every requirement on a store, bound to `suite`. Where a feature is off its cases are skipped with
 * the reason and the opposite case runs instead. A known gap that names no case is a `RangeError`.
 */
export function storeCases(suite: StoreSuite): readonly ConformanceCase[] {
  return bindCases(
    [
      ...readCases,
      ...rangeCases,
      ...applyCases,
      ...cursorCases,
      ...lineageCases,
      ...deletedKeyCases,
      ...viewCases,
      ...stagingCases,
      ...copyCases,
      ...limitCases,
      ...handleCases,
      ...recoveryCases,
      ...damageCases,
      ...crashCases,
      ...killedRebuildCases,
      ...readerCases,
      ...faultCases,
      ...outsideCases,
      ...randomModelCases,
    ],
    suite,
  )
}

/** Registers `storeCases(suite)` with a runner: `test` of vitest, node:test, jest. */
export function runStoreConformance(test: TestFunction, suite: StoreSuite): void {
  registerCases(test, storeCases(suite))
}
