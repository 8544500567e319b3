import type { WalkOptions } from './background-walk.ts'
import type { CheckDepth } from './file-check.ts'
import type { BulkOptions } from './flood.ts'

export interface LmdbOptions {
  /** The directory of the fold; it is made, 0700. */
  readonly path: string
  /**
   * When a commit reaches the disk: `'batch'` with each apply, `intervalMs` as often as that, `'os'`
   * when the system writes it, and at close. Only under `'batch'` does the file survive a machine
   * that goes down; otherwise it is walked when it is opened after that, and may be found damaged.
   * @default 'batch'
   */
  readonly durability?: 'os' | 'batch' | { readonly intervalMs: number }
  /** How many read transactions all processes may have open at once. @default 512 */
  readonly maxReaders?: number
  /** Whether each read looks at its record's checksum; about 0.3 µs a read. @default false */
  readonly verifyReads?: boolean
  /**
   * What is read of an existing file before it is opened: `'head'` takes under a millisecond, `'structure'`
   * about 1.5 s a GB and makes sure that no read or commit meets a damaged page, `'records'` about 4 s a GB
   * and checks every byte. After the machine went down it is at least `'structure'`, unless each commit is
   * synced. @default 'head'
   */
  readonly check?: CheckDepth
  /** When new keys in random order are collected in sorted runs, and merged when no more of them come. */
  readonly bulk?: BulkOptions | undefined
  /**
   * How the fold is read through in the background for damage that came after it was opened; false for not
   * at all. What is found ends the handle: see `LmdbSnapshot.whenDamaged`.
   */
  readonly walk?: false | WalkOptions
  /** How long to wait for another writer. @default 0 */
  readonly waitLockMs?: number
}

export const DEFAULT_MAX_READERS = 512
