import type { WatchCursor } from '../cursor.ts'
import { SnapshotError } from '../errors.ts'
import type { WaitOptions } from '../source.ts'
import type { Recovery, SnapshotLocation, SnapshotStore } from '../store.ts'
import { keptSize } from './kept-size.ts'
import type { FoldFigures } from './status-board.ts'

export type Bootstrap<S extends SnapshotStore> = (
  into: SnapshotLocation<S>,
  options: WaitOptions,
) => Promise<boolean>

const RESTORED = 'restore'

/** Owns the one open handle of a fold: opens it, sets a damaged one aside, replaces a handle that failed. */
export class FoldKeeper<S extends SnapshotStore> {
  readonly #location: SnapshotLocation<S>
  #store: S
  #closed = false
  #figures: FoldFigures
  recovery: Recovery | undefined
  /** Why there is no artifact, when one was asked for. */
  readonly bootstrapError: unknown

  private constructor(location: SnapshotLocation<S>, opened: Opened<S>) {
    this.#location = location
    this.#store = opened.store
    this.recovery = opened.recovery
    this.bootstrapError = opened.bootstrapError
    this.#figures = figuresOf(opened.store)
  }

  /**
   * A damaged fold is set aside and a new one opened. `Busy`, and a file that is not ours, reject
   * and stay as they are. `bootstrap` is asked when nothing is there; its failure leaves an empty fold.
   */
  static async open<S extends SnapshotStore>(
    location: SnapshotLocation<S>,
    signal: AbortSignal,
    bootstrap: Bootstrap<S> | undefined,
  ): Promise<FoldKeeper<S>> {
    const keeper = new FoldKeeper(location, await openFold(location, signal, bootstrap))
    if (bootstrap !== undefined) await keeper.#forgetRestore()
    return keeper
  }

  get store(): S {
    return this.#store
  }

  /** False while the handle is being replaced, and after `close`. */
  get isOpen(): boolean {
    return !this.#closed
  }

  get figures(): FoldFigures {
    if (!this.#closed) this.#figures = figuresOf(this.#store)
    return this.#figures
  }

  /** Lets go of a handle that failed, and opens the fold again; a damaged one is set aside. */
  async reopen(signal: AbortSignal): Promise<void> {
    await this.#letGo()
    const opened = await openFold(this.#location, signal, undefined)
    this.#store = opened.store
    this.recovery = opened.recovery ?? this.recovery
    this.#closed = false
  }

  /** Where an artifact can be while the fold is repaired from it; undefined where the store has no such place. */
  get restorePlace(): SnapshotLocation<S> | undefined {
    const place = this.#location.beside?.(RESTORED)
    return place?.remove === undefined ? undefined : place
  }

  get replaceable(): boolean {
    return this.#location.setAside !== undefined
  }

  /** Sets the fold aside, whatever it is, and opens an empty one. SnapshotError `Backend` where that is impossible. */
  async replace(): Promise<void> {
    if (this.#location.setAside === undefined)
      throw new SnapshotError('Backend', `a fold of ${this.#location.backend} cannot be set aside`)
    await this.#store.close()
    this.#closed = true
    await this.#location.setAside()
    this.#store = await this.#location.open()
    this.#closed = false
  }

  /** Syncs and closes; rejects when that fails. */
  async close(): Promise<void> {
    if (this.#closed) return
    const { store } = this
    try {
      await store.sync()
      this.#figures = figuresOf(store)
    } finally {
      this.#closed = true
      await store.close()
    }
  }

  /** What a process that died in a repair left beside the fold; nobody else uses it while this one is open. */
  async #forgetRestore(): Promise<void> {
    const { restorePlace: place } = this
    try {
      if (await place?.exists()) await place!.remove!()
    } catch {
      // The next repair tells why it cannot be removed.
    }
  }

  async #letGo(): Promise<void> {
    if (this.#closed) return
    this.#figures = figuresOf(this.#store)
    this.#closed = true
    try {
      await this.#store.close()
    } catch {
      // The handle has failed before: what its close says adds nothing, and its lock is gone or will be refused.
    }
  }
}

interface Opened<S> {
  readonly store: S
  readonly recovery: Recovery | undefined
  readonly bootstrapError: unknown
}

async function openFold<S extends SnapshotStore>(
  location: SnapshotLocation<S>,
  signal: AbortSignal,
  bootstrap: Bootstrap<S> | undefined,
): Promise<Opened<S>> {
  let bootstrapError = await bootstrapped(location, signal, bootstrap)
  try {
    const store = await location.open({ signal })
    return { store, recovery: store.recovery, bootstrapError }
  } catch (error) {
    if (!isDamage(error) || location.setAside === undefined) throw error
    const movedTo = await location.setAside()
    const recovery = {
      verdict: 'corrupt',
      at: error.at ?? 0,
      bytes: await keptSize(movedTo),
      movedTo,
    } as const
    bootstrapError = await bootstrapped(location, signal, bootstrap)
    return { store: await location.open({ signal }), recovery, bootstrapError }
  }
}

/** Resolves with what went wrong: without an artifact the fold is hydrated from the source. */
async function bootstrapped<S extends SnapshotStore>(
  location: SnapshotLocation<S>,
  signal: AbortSignal,
  bootstrap: Bootstrap<S> | undefined,
): Promise<unknown> {
  if (bootstrap === undefined || (await location.exists())) return undefined
  try {
    await bootstrap(location, { signal })
    return undefined
  } catch (error) {
    signal.throwIfAborted()
    return error
  }
}

/** Ours and damaged, as opposed to a file that is not ours (offset 0, or none). */
function isDamage(error: unknown): error is SnapshotError {
  if (!SnapshotError.is(error)) return false
  return error.code === 'Corrupted' || (error.code === 'InvalidFormat' && (error.at ?? 0) > 0)
}

function figuresOf(store: SnapshotStore): {
  cursor: WatchCursor
  durableCursor: WatchCursor
  entries: number
} {
  return { cursor: store.cursor, durableCursor: store.durableCursor, entries: store.stats.entries }
}
