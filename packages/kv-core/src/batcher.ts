/** When collected updates are handed on: whichever limit comes first. */
export interface BatchConfig {
  /** Counted from the first update of a batch. @default 10 */
  readonly windowMs?: number
  /** @default 1024 */
  readonly maxCount?: number
  /** Key and value bytes. @default 4 MiB */
  readonly maxBytes?: number
}
