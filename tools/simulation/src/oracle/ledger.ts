import { WatchCursor, type KvUpdate, type Recovery, type SnapshotStore } from '@slip/kv-core'
import { applied, contentDifference, contentOf, type FoldContent } from './fold-content.ts'
import type { Verdict } from './verdict.ts'

interface State {
  readonly cursor: WatchCursor
  readonly content: FoldContent
  /** It took the place of the whole fold. */
  readonly replaces: boolean
  acknowledged: boolean
}

/** A change of the fold under way. */
export interface Attempt {
  acknowledge(): void
}

/**
 * Promises 1, 2 and 9 for the disk: which states a fold may be found in when it is opened. One process
 * after another it must be the last acknowledged state, or one whose attempt came to no answer; after
 * the machine lost power, none before what was said to be durable.
 */
export class Ledger {
  readonly #verdict: Verdict
  readonly #isLossUnknown: () => boolean
  #lossUnknown = false
  /** Ascending; the first is what is known to be durable. */
  #states: State[] = [{ cursor: WatchCursor.none, content: new Map(), replaces: false, acknowledged: true }]
  #powerLost = false
  #damaged = false
  #unsyncedCommits = 0

  /** `isLossUnknown`: whether a disk lost data and then refused the file that would have told of it. */
  constructor(verdict: Verdict, isLossUnknown: () => boolean) {
    this.#verdict = verdict
    this.#isLossUnknown = isLossUnknown
  }

  powerLost(): void {
    this.#powerLost = true
  }

  /** Bits of the file turned: it may be found damaged. */
  damaged(): void {
    this.#damaged = true
  }

  commit(updates: readonly KvUpdate[], cursor: WatchCursor): Attempt {
    this.#unsyncedCommits++
    return this.#attempt(applied(this.#latest().content, updates), cursor, false)
  }

  /** The whole fold is replaced; when that is acknowledged it is durable. */
  replacement(content: FoldContent, cursor: WatchCursor): Attempt {
    const attempt = this.#attempt(content, cursor, true)
    const state = this.#states.at(-1)!
    return {
      acknowledge: () => {
        attempt.acknowledge()
        this.#states.splice(0, this.#states.indexOf(state))
        this.#lossUnknown = false
        this.#unsyncedCommits = 0
      },
    }
  }

  /** Somebody was told that the fold is durable through `cursor`; no position is what a store says that promises nothing. */
  durable(cursor: WatchCursor): void {
    if (this.#lossUnknown || cursor.isNone) return
    const at = this.#states.findIndex((state) => state.acknowledged && state.cursor.equals(cursor))
    if (at < 0) {
      this.#verdict.violated(2, `durable at ${name(cursor)}, where the fold never was`)
      return
    }
    if (at === this.#states.length - 1) this.#unsyncedCommits = 0
    this.#states.splice(0, at)
  }

  /** Gives whether the fold is a replacement whose swap came to no answer. */
  opened(store: SnapshotStore, recovery: Recovery | undefined): boolean {
    const content = contentOf(store)
    const { cursor } = store
    const found = this.#states.findLastIndex(
      (state) =>
        state.cursor.equals(cursor) &&
        contentDifference(state.content, content, store.features.deletedKeys) === undefined,
    )
    const last = this.#states.findLastIndex(({ acknowledged }) => acknowledged)
    if (found < 0) this.#unexpected(cursor, content)
    else if (!this.#powerLost && found < last)
      this.#verdict.violated(2, `the fold was found at ${name(cursor)}, behind what was committed`)
    if (recovery !== undefined) this.#verdict.count(`recovery: ${recovery.verdict}`)
    const state: State = { cursor, content, replaces: false, acknowledged: true }
    const unanswered = this.#states
      .slice(0, found + 1)
      .findLast((known) => known.replaces && !known.acknowledged)
    // What a process finds need not be on the disk.
    this.#states = this.#powerLost || found < 0 ? [state] : [...this.#states.slice(0, found), state]
    this.#powerLost = false
    this.#damaged = false
    this.#lossUnknown = this.#isLossUnknown()
    if (this.#lossUnknown) this.#verdict.count('losses of a disk that refused to note them')
    return unanswered !== undefined
  }

  /** A damaged fold was set aside: what is opened next is empty. */
  setAside(damaged: boolean): Attempt {
    if (damaged && !this.#damaged && !(this.#powerLost && this.#unsyncedCommits > 1))
      this.#verdict.violated(10, 'a fold nobody damaged was set aside as damaged')
    if (damaged) this.#verdict.count('set aside as damaged')
    return this.replacement(new Map(), WatchCursor.none)
  }

  #unexpected(cursor: WatchCursor, content: FoldContent): void {
    const sameCursor = this.#states.findLast((state) => state.cursor.equals(cursor))
    // Whoever cut the damaged end may have died before it could tell.
    if (this.#damaged && sameCursor === undefined) return
    this.#verdict.violated(
      this.#damaged ? 10 : 1,
      sameCursor === undefined
        ? `the fold was found at ${name(cursor)}; known are ${this.#states.map((state) => name(state.cursor)).join(', ')}`
        : `the fold at ${name(cursor)} holds something else: ${contentDifference(sameCursor.content, content, true)}`,
    )
  }

  #attempt(content: FoldContent, cursor: WatchCursor, replaces: boolean): Attempt {
    const state: State = { cursor, content, replaces, acknowledged: false }
    this.#states.push(state)
    return {
      acknowledge: () => {
        state.acknowledged = true
      },
    }
  }

  #latest(): State {
    return this.#states.findLast(({ acknowledged }) => acknowledged)!
  }
}

function name(cursor: WatchCursor): string {
  return cursor.isNone ? 'no position' : `revision ${cursor.revision}`
}
