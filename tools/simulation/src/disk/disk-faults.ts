/** Calls a disk can refuse. */
export type DiskCall =
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'close'
  | 'stat'
  | 'rename'
  | 'link'
  | 'unlink'
  | 'syncDirectory'

/** What a disk does wrong, and how often. */
export interface DiskFaults {
  /** Chance of EIO by call. */
  readonly fails: Partial<Record<DiskCall, number>>
  /** Whether a sync that failed drops what it should have written, as Linux does, or keeps it for the next. */
  readonly syncDrops: number
  readonly shortWrite: number
  readonly shortRead: number
  /** How long a call takes, in the mean, and how often one takes a thousand times as long. */
  readonly latencyMs: number
  readonly slow: number
}

export const HEALTHY_DISK: DiskFaults = {
  fails: {},
  syncDrops: 0,
  shortWrite: 0,
  shortRead: 0,
  latencyMs: 0.2,
  slow: 0,
}
