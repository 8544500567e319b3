import type { KvUpdate } from '@slip/kv-core'
import { SeededRandom } from './seeded-random.ts'
import { randomUpdates } from './updates.ts'

/** Updates in one apply of the child that gets killed. */
export const CRASH_BATCH = 5

/** What the child applies; the parent knows it by the seed. */
export function crashHistory(seed: number, count: number): KvUpdate[] {
  return randomUpdates(new SeededRandom(seed), 1, count)
}
