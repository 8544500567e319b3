import { join } from 'node:path'
import type { SnapshotLocation } from '@slip/kv-core'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'
import type { Profile } from '../plan/profile.ts'

/** The log on its disk. */
export const LOG_NAME = 'fold.log'

/** Where the fold of a world is, on a disk at `directory`. */
export function foldLocation(directory: string, { store, check, follower }: Profile): SnapshotLocation {
  const { durability, compact } = follower
  return store === 'log'
    ? appendLog({ path: join(directory, LOG_NAME), durability, compact })
    : lmdb({ path: join(directory, 'fold'), durability, check })
}
