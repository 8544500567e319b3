export { listBucket, type ListedValue } from './bucket-listing.ts'
export {
  ADMIN,
  allCells,
  cellTitle,
  documentedPermissions,
  expectationOf,
  FOLLOWER_INBOX,
  FollowerWorld,
  inPool,
  isLate,
  knownGapOf,
  MatrixRun,
  NETWORK_FAULTS,
  networkCells,
  networkGapOf,
  outcomeTable,
  restrictedTo,
  runNetworkCell,
  sampleCells,
  shortcomings,
  untilStatus,
  violationsIn,
  type Cell,
  type CellOutcome,
  type NetworkCell,
} from './matrix/index.ts'
export { countFrom, runSeed, SeededRandom } from './seeded-random.ts'
export { FollowProcess, slip, type Line, type SlipResult } from './slip-process.ts'
