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
