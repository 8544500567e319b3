export {
  allCells,
  cellTitle,
  FAULTS,
  sampleCells,
  SCOPES,
  type Cell,
  type FaultId,
  type ScopeName,
  type StoreName,
} from './cell.ts'
export { ClusterWorld } from './cluster-world.ts'
export {
  ADMIN,
  documentedPermissions,
  FOLLOWER_INBOX,
  restrictedTo,
  violationsIn,
} from './documented-permissions.ts'
export { expectationOf, isLate, shortcomings } from './expectation.ts'
export { FollowerWorld } from './follower-world.ts'
export { MatrixRun } from './matrix-run.ts'
export { OperatorMode } from './operator-mode.ts'
export { outcomeTable, type CellOutcome } from './outcome-table.ts'
export { networkCells, runNetworkCell, type NetworkCell } from './network-cell.ts'
export { NETWORK_FAULTS } from './network-faults.ts'
export { inPool } from './pool.ts'
export { untilStatus } from './status-wait.ts'
export { MECHANISM_OF, MECHANISMS, without, type Mechanism } from './mechanisms.ts'
export type { Observation } from './cell-run.ts'
export { MatrixServer } from './matrix-server.ts'
export { processCells, processShortcomings, runProcessCell, type ProcessCell } from './process-cell.ts'
export { RawJetStream } from './raw-jetstream.ts'
