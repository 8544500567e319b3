import type { SnapshotLocation, StoreFeatures } from '@slip/kv-core'

/** One place for one fold: `location.open()` may be called again after close, on the same data. */
export interface StoreFixture {
  readonly location: SnapshotLocation
  /**
   * A module whose default export is `(path: string) => SnapshotLocation`, for cases that kill a
   * child process; needs `path`. It must be loadable by plain Node.
   */
  readonly childModule?: URL
  /**
   * What `childModule` is called with. When it is a regular file it is also what the damage cases
   * cut and flip bits in.
   */
  readonly path?: string
  destroy(): Promise<void>
}

/** What the author of a store writes. */
export interface StoreSuite {
  /** An empty place of its own for each call. */
  create(): Promise<StoreFixture>
  /** What the store says about itself; checked against the store, both ways. */
  readonly features: StoreFeatures
  /** Case id to reason: these must fail, and passing is an error. */
  readonly knownGaps?: Readonly<Record<string, string>>
  /** For the random cases. @default `SLIP_SEED` of the environment, else a fresh one */
  readonly seed?: number
}
