export { CaseSkipped, type ConformanceCase } from './conformance-case.ts'
export { type TestContext, type TestFunction } from './register-cases.ts'
export { runStoreConformance, storeCases } from './store-cases.ts'
export type { StoreFixture, StoreSuite } from './store-suite.ts'
