import { KvError, messageOf } from '../errors.ts'
import type { FollowSource } from '../follow-source.ts'
import type { WantedFold } from '../protocol/admit-artifact.ts'
import type { RebuildReason } from '../protocol/attach.ts'
import type { RestoreRefusal } from '../protocol/may-restore.ts'
import { protocol } from '../protocol/protocol.ts'
import type { SourceDescription } from '../source.ts'
import type { SnapshotLocation, SnapshotStore } from '../store.ts'
import { Unanswered, Unrestored } from './attach-decision.ts'
import type { BoundLineage } from './bound-lineage.ts'
import { within } from './deadline.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FoldWriter } from './fold-writer.ts'
import type { FollowSettings } from './follow-settings.ts'
import { historyOf, openedArtifact, type OpenedArtifact } from './opened-artifact.ts'
import { RestoreMerge } from './restore-merge.ts'

const ANSWER_TIMEOUT_MS = 5_000

export interface RestoreTask {
  readonly source: FollowSource
  readonly described: SourceDescription
  /** Why the fold cannot go on. */
  readonly reason: RebuildReason
  /** Of the fold in use, in doubt until the last commit. */
  readonly bound: BoundLineage
}

const REFUSALS: Readonly<Record<RestoreRefusal, string>> = {
  otherBucket: 'it is of another bucket',
  otherLineage: 'it is of another history of the bucket',
  otherScope: 'it does not have all that is followed',
  otherEviction: 'it is no replica of record',
  otherEmptyValues: 'it treats empty values otherwise',
  noRevision: 'it has no revision',
  notAhead: 'it is not ahead of the fold',
  aheadOfBucket: 'it is ahead of the bucket',
  expired: 'the bucket has evicted above its position',
}

/**
 * Repairs a replica of record from an artifact while reads go on: puts it beside the fold, compares it with the bucket,
 * and takes what the fold missed key by key under the old cursor. The artifact's cursor comes with the last
 * commit, so that a repair that is cut off is made again.
 */
export class ArtifactRestore<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  readonly #writer: FoldWriter<S, T>
  readonly #signal: AbortSignal

  constructor(
    parts: FoldParts<S, T>,
    settings: FollowSettings,
    writer: FoldWriter<S, T>,
    signal: AbortSignal,
  ) {
    this.#parts = parts
    this.#settings = settings
    this.#writer = writer
    this.#signal = signal
  }

  get isPossible(): boolean {
    const { bootstrap, keeper } = this.#parts
    return bootstrap !== undefined && keeper.restorePlace !== undefined
  }

  /**
   * Resolves with what the fold belongs to when it is repaired; undefined when the caller ended first, or the fold
   * stands elsewhere.
   * Rejects with `Unrestored`, and with `Unanswered` when it may be tried again.
   */
  async run(task: RestoreTask): Promise<BoundLineage | undefined> {
    const place = this.#parts.keeper.restorePlace!
    try {
      const store = await this.#get(place, task.described)
      try {
        return await this.#take(openedArtifact(store), task)
      } finally {
        await store.close()
      }
    } finally {
      await place.remove!().catch(() => undefined)
    }
  }

  async #get(place: SnapshotLocation<S>, { kind, name, incarnation }: SourceDescription): Promise<S> {
    const { whenEvicted, prefixes } = this.#settings
    const notBehind = this.#parts.keeper.figures.cursor
    const wanted: WantedFold = { kind, name, incarnation, whenEvicted, prefixes, scope: 'covers', notBehind }
    try {
      await place.remove!()
      if (await this.#parts.bootstrap!(place, { signal: this.#signal, wanted }))
        return await place.open({ signal: this.#signal })
    } catch (cause) {
      this.#signal.throwIfAborted()
      if (isPassing(cause)) throw new Unanswered(cause)
      throw new Unrestored(messageOf(cause), { cause })
    }
    throw new Unrestored('there is none')
  }

  async #take(artifact: OpenedArtifact<S>, task: RestoreTask): Promise<BoundLineage | undefined> {
    const described = await this.describe(task.source)
    await this.#check(artifact, task, described)
    const merge = new RestoreMerge(this.#parts, this.#settings, this.#writer, artifact.store, {
      reader: task.source.reader,
      bound: task.bound,
      signal: this.#signal,
      stillThere: async () => this.#check(artifact, task, await this.describe(task.source)),
    })
    return merge.run(artifact.lineage, artifact.ring)
  }

  /** What comes after the artifact was delivered by nobody yet, so the bucket must still have it. */
  async #check(artifact: OpenedArtifact<S>, task: RestoreTask, source: SourceDescription): Promise<void> {
    const { prefixes, emptyValues, scope } = this.#settings
    const history = await historyOf(artifact, task.source, source, { scope, signal: this.#signal })
    const { store, lineage, appliedAtMs } = artifact
    const refusal = protocol.mayRestore({
      artifact: { binding: lineage?.binding, cursor: store.cursor, appliedAtMs },
      cursor: this.#parts.keeper.figures.cursor,
      source,
      scope: prefixes,
      emptyValues,
      history,
    })
    if (refusal !== undefined) throw new Unrestored(REFUSALS[refusal])
  }

  /** Rejects with `Unanswered`. */
  async describe(source: FollowSource): Promise<SourceDescription> {
    const options = { signal: this.#signal, timeoutMs: ANSWER_TIMEOUT_MS }
    const description = source.watcher.describe('all', options)
    try {
      return await within(description, { ...options, what: `describing ${source.name}` })
    } catch (cause) {
      throw new Unanswered(cause)
    }
  }
}

function isPassing(error: unknown): boolean {
  return KvError.is(error) && ['Unreachable', 'Timeout', 'OutcomeUnknown'].includes(error.code)
}
