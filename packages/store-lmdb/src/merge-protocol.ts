import type { MergeRequest } from './layer-merge.ts'
import type { FailureMessage } from './thread-protocol.ts'

/** What the merging thread is started with. `stop` holds one number; when it is not 0 the merge ends. */
export interface MergeStart {
  readonly request: MergeRequest
  readonly stop: Int32Array
}

export type MergeNews =
  | { readonly what: 'begun' }
  | { readonly what: 'merged' }
  | { readonly what: 'failed'; readonly failure: FailureMessage }
