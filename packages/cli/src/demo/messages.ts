import type { SourceDescription, WatchScope } from '@slip/kv-core'
import type { NatsConnectionConfig } from '@slip/nats'
import type { WireBatch, WireError } from './wire-batch.ts'

/** Where the follower process finds the bucket: on a server, or in the process that started it. */
export type BucketPlace =
  | { readonly kind: 'nats'; readonly config: NatsConnectionConfig }
  | { readonly kind: 'embedded' }

/** What the demo says to its follower process. */
export type ToFollower =
  | {
      readonly type: 'start'
      readonly bucket: string
      readonly place: BucketPlace
      readonly foldPath: string
    }
  | { readonly type: 'read'; readonly prefix: string }
  | { readonly type: 'stop' }
  | { readonly type: 'answer'; readonly id: number; readonly answer: Answer }

/** What the follower process says to the demo. */
export type FromFollower =
  | ({ readonly type: 'status' | 'caughtUp' } & Standing)
  | {
      readonly type: 'entries'
      readonly keys: readonly string[]
      /** The first ordered read puts the keys in order. */
      readonly firstMicros: number
      readonly micros: number
    }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'question'; readonly id: number; readonly question: Question }

/** Where the follower stands. */
export interface Standing {
  readonly state: string
  readonly entries: number
  readonly delivered: number
  readonly revision: bigint | undefined
}

/** A call on the embedded bucket from the process that does not have it. `watch` names one session. */
export type Question =
  | { readonly call: 'describe'; readonly scope: WatchScope }
  | {
      readonly call: 'watch'
      readonly watch: number
      readonly scope: WatchScope
      readonly after: Uint8Array | undefined
      readonly emptyValues: 'tombstone' | 'keep' | undefined
    }
  | { readonly call: 'next' | 'end'; readonly watch: number }

export type Answer =
  | { readonly description: SourceDescription }
  | { readonly batch: WireBatch }
  | { readonly done: true }
  | { readonly error: WireError }
