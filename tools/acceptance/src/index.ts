export { listBucket, type ListedValue } from './bucket-listing.ts'
export {
  ADMIN,
  allCells,
  cellTitle,
  documentedPermissions,
  expectationOf,
  FOLLOWER_INBOX,
  FollowerWorld,
  isLate,
  knownGapOf,
  MatrixRun,
  outcomeTable,
  restrictedTo,
  sampleCells,
  shortcomings,
  untilStatus,
  violationsIn,
  type Cell,
  type CellOutcome,
} from './matrix/index.ts'
export { countFrom, runSeed, SeededRandom } from './seeded-random.ts'
export { FollowProcess, slip, type Line, type SlipResult } from './slip-process.ts'
