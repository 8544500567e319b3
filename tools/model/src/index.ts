export { ANCESTOR_EXPORTS, SHIPPED_COUNT, SMALL_COUNT, type PublishedCount } from './ancestor-exports.ts'
export { UNIT_CHECKS } from './checks/unit-checks.ts'
export type { UnitCheck } from './checks/unit-check.ts'
export type { Configuration, WrongConfiguration } from './configuration.ts'
export { LARGE, MEDIUM, SMALL } from './configurations.ts'
export {
  explore,
  type Exploration,
  type ExploreOptions,
  type Step,
  type Violation,
} from './explorer/explore.ts'
export { Layout, type Fields, type Row, type State } from './explorer/layout.ts'
export type { Action, Model, Property } from './explorer/model.ts'
export { traceTable } from './explorer/trace-table.ts'
export { ancestorModel } from './models/ancestor-model.ts'
export { artifactsModel } from './models/artifacts-model.ts'
export { ArtifactsShape, type ArtifactsOptions, type ArtifactsState } from './models/artifacts-state.ts'
export { attachModel } from './models/attach-model.ts'
export { AttachShape, type AttachOptions, type AttachState } from './models/attach-state.ts'
export { countModel } from './models/count-model.ts'
export { flushModel } from './models/flush-model.ts'
export { HAZARDS, type Hazard } from './models/hazards.ts'
export { listingModel } from './models/listing-model.ts'
export { partsModel } from './models/parts-model.ts'
export { resyncModel } from './models/resync-model.ts'
export { watchModel } from './models/watch-model.ts'
export { EQUIVALENT } from './mutants/equivalent.ts'
export { generatedMutants } from './mutants/generated.ts'
export { HAND_WRITTEN } from './mutants/hand-written.ts'
export { judge, type Mutant, type Order, type Verdict } from './mutants/mutant.ts'
export { mutationsOf, type Mutation } from './mutants/mutations.ts'
export { ancestor } from './rules/ancestor.ts'
export { ANCESTOR, LIMITS, WRONG_RULES } from './wrong-configurations.ts'
