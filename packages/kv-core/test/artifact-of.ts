import type { BootstrapOptions, SnapshotLocation } from '@slip/kv-core'
import { FollowRun } from './follow-run.ts'
import { MapLocation, type MapStore } from './map-store.ts'
import type { TestBucket } from './test-bucket.ts'

export type RunOptions = NonNullable<Parameters<typeof FollowRun.start>[0]>
export type Bootstrap = NonNullable<RunOptions['bootstrap']>

/** A fold of `bucket` as a follower leaves it that is closed now. */
export async function folded(bucket: TestBucket, options: RunOptions = {}): Promise<MapLocation> {
  const location = options.location ?? new MapLocation()
  await using run = await FollowRun.start({ auditIntervalMs: 20, ...options, bucket, location })
  await run.caughtUp()
  return location
}

/** What was asked of whoever gives an artifact. */
export interface Giving {
  readonly bootstrap: Bootstrap
  readonly wanted: BootstrapOptions['wanted'][]
  readonly places: SnapshotLocation<MapStore>[]
}

/** Gives a copy of `artifact`, which fails as that does, and remembers what was wanted, and where. */
export function giving(artifact: MapLocation): Giving {
  const wanted: BootstrapOptions['wanted'][] = []
  const places: SnapshotLocation<MapStore>[] = []
  return {
    wanted,
    places,
    bootstrap: async (into, options) => {
      wanted.push(options.wanted)
      places.push(into)
      const place = into as MapLocation
      place.copy(artifact)
      Object.assign(place.failing, artifact.failing)
      return true
    },
  }
}
