export { listBucket, type ListedValue } from './bucket-listing.ts'
export {
  allCells,
  cellTitle,
  expectationOf,
  isLate,
  knownGapOf,
  MatrixRun,
  outcomeTable,
  sampleCells,
  shortcomings,
  type Cell,
  type CellEnd,
  type CellOutcome,
} from './matrix/index.ts'
export { countFrom, runSeed, SeededRandom } from './seeded-random.ts'
export { FollowProcess, slip, type Line, type SlipResult } from './slip-process.ts'
