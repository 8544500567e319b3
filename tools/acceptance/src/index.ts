export { listBucket, type ListedValue } from './bucket-listing.ts'
export { countFrom, runSeed, SeededRandom } from './seeded-random.ts'
export { FollowProcess, slip, type Line, type SlipResult } from './slip-process.ts'
