import type { CheckDepth } from './file-check.ts'
import { SnapshotError, type SnapshotErrorCode } from '@slip/kv-core'

/** What the writing thread is started with. */
export interface WriterStart {
  readonly file: string
  readonly synced: boolean
  readonly maxReaders: number
  /** Of the fold the file belongs to; a file that does not exist is made with it. */
  readonly foldId: Uint8Array
  readonly make: boolean
  readonly check: CheckDepth
  /** How many bytes of batches make a run. */
  readonly runBytes: number
}

/** What the writing thread can be asked; one at a time. */
export type WriterRequest =
  | {
      readonly what: 'apply'
      readonly steps: Uint8Array<ArrayBuffer>
      readonly cursor: Uint8Array
      readonly lineage: Uint8Array | undefined
      /** Whether to lay it above the sorted databases, where nothing is yet. */
      readonly layered: boolean
    }
  /** Makes a run of what arrived; where nothing is layered only that the fold is still this writer's. */
  | { readonly what: 'seal' }
  /** Lets transactions begin at the newest commit again. */
  | { readonly what: 'mend' }
  | { readonly what: 'clearReaders' }
  | { readonly what: 'close' }

export interface WriterReply {
  /** The count of the newest commit. */
  readonly commit?: bigint
  readonly failure?: FailureMessage
  /** How many slots of readers that died were given back. */
  readonly cleared?: number
  /** The memory of the batch that was applied. */
  readonly spare?: ArrayBuffer
}

/** An error on its way between threads. */
export interface FailureMessage {
  readonly code: SnapshotErrorCode
  readonly message: string
  readonly path: string | undefined
  readonly at: number | undefined
}

export function toMessage(error: unknown): FailureMessage {
  if (!SnapshotError.is(error))
    return { code: 'Backend', message: String(error), path: undefined, at: undefined }
  const { code, message, path, at } = error
  return { code, message, path, at }
}

export function fromMessage({ code, message, path, at }: FailureMessage): SnapshotError {
  return new SnapshotError(code, message, {
    ...(path === undefined ? {} : { path }),
    ...(at === undefined ? {} : { at }),
  })
}
