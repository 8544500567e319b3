import { WatchCursor } from '@slip/kv-core'

/** Cursors and revisions of a small bucket, made once: models ask for millions. */
export class Positions {
  readonly #cursors: readonly WatchCursor[]
  readonly #revisions: readonly bigint[]

  constructor(revisions: number) {
    const all = Array.from({ length: revisions + 2 }, (_, revision) => BigInt(revision))
    this.#revisions = all
    this.#cursors = all.map((revision) =>
      revision === 0n ? WatchCursor.none : WatchCursor.fromRevision(revision),
    )
  }

  /** 0 is no position. */
  cursor(revision: number): WatchCursor {
    return this.#cursors[revision]!
  }

  revision(revision: number): bigint {
    return this.#revisions[revision]!
  }

  /** 0 is none delivered yet. */
  frontier(revision: number): bigint | undefined {
    return revision === 0 ? undefined : this.#revisions[revision]
  }
}
