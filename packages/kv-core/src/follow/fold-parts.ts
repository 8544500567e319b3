import type { Flusher } from '../apply/flusher.ts'
import type { WatchCursor } from '../cursor.ts'
import type { SnapshotStore } from '../store.ts'
import type { ChangeFeed } from './change-feed.ts'
import type { FoldKeeper } from './fold-keeper.ts'
import type { FollowOptions } from './options.ts'
import type { Gate } from './gate.ts'
import type { OversizePolicy } from './oversize.ts'
import type { StatusBoard } from './status-board.ts'
import type { Waiters } from './waiters.ts'

/** What everything that writes the fold shares. */
export interface FoldParts<S extends SnapshotStore, T> {
  readonly keeper: FoldKeeper<S>
  readonly flusher: Flusher<T>
  readonly board: StatusBoard
  readonly feed: ChangeFeed
  readonly waiters: Waiters
  /** Held by whoever writes the fold, or must not be disturbed by a write. */
  readonly gate: Gate
  readonly oversize: OversizePolicy
  readonly onApplied: ((cursor: WatchCursor) => void) | undefined
  readonly bootstrap: FollowOptions<S>['bootstrap']
}
