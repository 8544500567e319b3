export { CaseSkipped, type ConformanceCase, type Tally } from './conformance-case.ts'
export { moduleSuite } from './module-suite.ts'
export { objectStoreCases, runObjectStoreConformance } from './object-cases.ts'
export type { ObjectFixture, ObjectSuite } from './object-suite.ts'
export { type TestContext, type TestFunction } from './register-cases.ts'
export type { RunCounts } from './run-counts.ts'
export { formatScorecard, scorecard, type CaseResult, type Outcome, type Scorecard } from './scorecard.ts'
export { runSourceConformance, sourceCases } from './source-cases.ts'
export type { SourceFeatures, SourceFixture, SourceSuite } from './source-suite.ts'
export { runStoreConformance, storeCases } from './store-cases.ts'
export type {
  DamageRules,
  FileCall,
  FileFault,
  JudgeFileCall,
  OpenProcessReader,
  OutsideFault,
  ProcessReader,
  StoreFixture,
  StoreSuite,
} from './store-suite.ts'
