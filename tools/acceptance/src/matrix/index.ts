export { allCells, cellTitle, sampleCells, type Cell } from './cell.ts'
export {
  ADMIN,
  documentedPermissions,
  FOLLOWER_INBOX,
  restrictedTo,
  violationsIn,
} from './documented-permissions.ts'
export { expectationOf, isLate, shortcomings } from './expectation.ts'
export { FollowerWorld, untilStatus } from './follower-world.ts'
export { knownGapOf } from './known-gaps.ts'
export { MatrixRun } from './matrix-run.ts'
export { outcomeTable, type CellOutcome } from './outcome-table.ts'
