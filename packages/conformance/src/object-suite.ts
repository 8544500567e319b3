import type { ObjectStore } from '@slip/kv-core'

/** One empty place for objects. */
export interface ObjectFixture {
  readonly store: ObjectStore
  /** Another handle on the same place, as another process has it. Left out, `store` plays both parts. */
  readonly other?: ObjectStore
  destroy(): Promise<void>
}

/** What the author of a transport writes. What the store says of its `capabilities` decides which cases run. */
export interface ObjectSuite {
  /** An empty place of its own for each call. */
  create(): Promise<ObjectFixture>
  readonly capabilities: ObjectStore['capabilities']
  /** Of the large object, in bytes. @default 24 MiB */
  readonly largeBytes?: number
  /** Case id to reason: these must fail, and passing is an error. */
  readonly knownGaps?: Readonly<Record<string, string>>
}
