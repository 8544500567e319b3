import type { CompactionPolicy } from './compaction.ts'

export interface AppendLogOptions {
  /** Where the log is; its directory is made. */
  readonly path: string
  /**
   * Generation to create. An existing generation-2 log keeps its layout only with 2; otherwise its
   * first compaction makes it native. @default 3
   */
  readonly format?: 2 | 3
  /**
   * When a commit reaches the disk: `'batch'` with each apply, `intervalMs` as often as that, `'os'`
   * when the system writes it, at compaction and at close. @default 'os'
   */
  readonly durability?: 'os' | 'batch' | { readonly intervalMs: number }
  /** @default garbage above half of a file of at least 16 MiB */
  readonly compact?: CompactionPolicy
  /** How long to wait for another holder of the lock. @default 0 */
  readonly waitLockMs?: number
}
