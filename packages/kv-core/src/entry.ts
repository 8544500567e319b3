import type { VersionToken } from './token.ts'

/** A live key with its value. `expiresAtMs` is Unix milliseconds, when the source said so. */
export interface KvEntry {
  readonly key: string
  readonly value: Uint8Array
  readonly version: VersionToken
  readonly expiresAtMs?: number
}

/**
 * Why a key left, when nobody wrote a delete for it: an empty value (`tombstone`), its time to live
 * (`expired`), a limit of the bucket (`evicted`), a repair (`resync`), or a narrower scope (`scope`).
 */
export type RemovalReason = 'tombstone' | 'expired' | 'evicted' | 'resync' | 'scope'

export interface KvPutUpdate extends KvEntry {
  readonly operation: 'put'
  /** The source's time of the write, Unix milliseconds, where the source keeps one. */
  readonly writtenAtMs?: number
}

export interface KvRemovalUpdate {
  readonly operation: 'delete' | 'purge'
  readonly key: string
  /** Unknown when `reason` is `resync`. */
  readonly version: VersionToken
  /** Absent for a delete or purge somebody wrote. */
  readonly reason?: RemovalReason
  /** The source's time of the message, Unix milliseconds, where the source keeps one. */
  readonly writtenAtMs?: number
}

/** One event of a watch. */
export type KvUpdate = KvPutUpdate | KvRemovalUpdate
