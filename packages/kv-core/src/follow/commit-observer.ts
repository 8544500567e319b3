import type { KvUpdate } from '../entry.ts'
import type { FoldReader } from '../store.ts'

/** Looks at what commits do to the fold in use. */
export interface CommitObserver {
  /** Before the commit of `updates` to `fold`; what it returns is called when the fold holds them. */
  survey(updates: readonly KvUpdate[], fold: FoldReader): () => void
}
