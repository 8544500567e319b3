import { type Binding, decodeLineage, type Lineage, type SkippedNames } from '../lineage.ts'
import type { FlushOutcome } from '../apply/flusher.ts'
import type { FollowSource } from '../follow-source.ts'
import type { RebuildReason } from '../protocol/attach.ts'
import type { SourceDescription } from '../source.ts'
import type { SnapshotStore } from '../store.ts'
import type { ApplyPhase } from '../watch-applied.ts'
import { AnchorRing } from './anchor-ring.ts'
import { ArtifactRestore, type RestoreTask } from './artifact-restore.ts'
import {
  attachDecision,
  bindingTo,
  foreign,
  refused,
  seesEviction,
  Unrestored,
  type FoldStanding,
} from './attach-decision.ts'
import { AttachJudge, type ProveAgain } from './attach-judge.ts'
import { BoundLineage } from './bound-lineage.ts'
import { FastForward } from './fast-forward.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FoldWriter } from './fold-writer.ts'
import type { FollowSettings } from './follow-settings.ts'
import type { HistoryGuard } from './history-guard.ts'
import { Rebuild } from './rebuild.ts'

/** What a session goes on from. */
export interface Attached {
  readonly bound: BoundLineage
  readonly phase: ApplyPhase
  /** Whether the fold was compared with this history, or is part of it from its first entry. */
  readonly verifiedLineage: boolean
  /** Whether the anchors prove it, or it is part of it from its first entry. */
  readonly provenHistory: boolean
  /** Whether a listing has to equal the fold before anything is claimed of it. */
  readonly reconcile: boolean
  /** Asks once more for what was proven; undefined where nothing was. Rejects when the source does not say. */
  readonly proveAgain?: ProveAgain | undefined
}

const FROM_NOTHING = {
  phase: 'initial',
  verifiedLineage: true,
  provenHistory: true,
  reconcile: false,
} as const
const IN_REBUILD = { phase: 'resync', verifiedLineage: true } as const

/** Connects the fold with what the source says about itself, before every session. */
export class Attachment<S extends SnapshotStore, T> {
  readonly #parts: FoldParts<S, T>
  readonly #settings: FollowSettings
  readonly #writer: FoldWriter<S, T>
  readonly #guard: HistoryGuard
  readonly #judge: AttachJudge
  readonly #signal: AbortSignal
  readonly #restore: ArtifactRestore<S, T>
  readonly #forward: FastForward<S, T>
  #rebuild: Rebuild<S, T> | undefined
  #known: S | undefined
  #bound: BoundLineage | undefined

  /** `onFetched`: called when the session under way keeps an artifact from being looked at. */
  constructor(
    parts: FoldParts<S, T>,
    settings: FollowSettings,
    writer: FoldWriter<S, T>,
    guard: HistoryGuard,
    signal: AbortSignal,
    onFetched: () => void,
  ) {
    this.#parts = parts
    this.#settings = settings
    this.#writer = writer
    this.#guard = guard
    this.#judge = new AttachJudge(settings, guard, signal)
    this.#signal = signal
    this.#restore = new ArtifactRestore(parts, settings, writer, signal)
    this.#forward = new FastForward(parts, settings, signal, onFetched)
  }

  /** The rebuild under way. */
  get rebuild(): Rebuild<S, T> | undefined {
    return this.#rebuild?.state === 'open' ? this.#rebuild : undefined
  }

  /**
   * `finding` is what the last session, or the audit, found out. Resolves with undefined when the
   * caller ended first. SnapshotError `ForeignFold` and KvError `RepairRefused`: no retry mends those.
   * `Unanswered` when the source does not say what it is asked.
   */
  async attach(
    source: FollowSource,
    described: SourceDescription,
    finding: RebuildReason | undefined,
  ): Promise<Attached | undefined> {
    const rebuild = this.#rebuild
    if (rebuild?.state === 'open') return this.#goOn(rebuild, source, described, finding)
    this.#rebuild = undefined
    // One that was given up half-way left the fold as it was, and with it the reason.
    const left = rebuild?.state === 'discarded' && !rebuild.inPlace ? rebuild.reason : undefined
    return this.#attachFold(source, described, finding ?? left)
  }

  /** Whether a rebuild that is complete may replace the fold in use, after what the source says by then. */
  mayReplace(rebuild: Rebuild<S, T>, described: SourceDescription): boolean {
    if (rebuild.inPlace) return true
    const fold = this.#standing(this.#storedLineage())
    const { action } = attachDecision(this.#settings, described, fold, { finding: rebuild.reason })
    return action !== 'refuse' && action !== 'restore'
  }

  /** Ends the rebuild under way as one that another will follow; `abandoned` when the caller ended first. */
  async giveUp(): Promise<FlushOutcome> {
    const { rebuild } = this
    return rebuild === undefined ? 'committed' : this.#parts.gate.run(() => rebuild.giveUp())
  }

  /** A fold in step needs no artifact. */
  caughtUp(): void {
    void this.#forward.release()
  }

  /** Drops a rebuild that was not finished, at the follower's end. */
  async close(): Promise<void> {
    await this.#forward.release()
    await this.rebuild?.discard()
  }

  async #attachFold(
    source: FollowSource,
    described: SourceDescription,
    finding: RebuildReason | undefined,
  ): Promise<Attached | undefined> {
    const { board, flusher, gate, keeper } = this.#parts
    const { store } = keeper
    const stored = this.#storedLineage()
    const ring = new AnchorRing(stored?.anchors ?? [], stored?.anchorsComplete === true)
    const fold = this.#standing(stored)
    const { decision, proven, proveAgain } = await this.#judge.decide(source, described, fold, finding, ring)
    const evictionSeen = seesEviction(this.#settings, described, fold, decision)
    const binding = bindingTo(this.#settings, described, evictionSeen, stored?.binding)
    if (decision.action === 'resume' || decision.action === 'reconcile') {
      const forwarded = await this.#fastForward(source, described, fold, binding)
      if (forwarded !== 'none') return forwarded
    } else await this.#forward.release()
    switch (decision.action) {
      case 'foreign':
        if (this.#settings.onForeignFold === 'refuse') throw foreign(decision.differs, store.cursor)
        await gate.run(() => keeper.replace())
        flusher.forget()
        this.#guard.begin()
        return this.#from(
          BoundLineage.fresh(bindingTo(this.#settings, described, false)),
          undefined,
          FROM_NOTHING,
        )
      case 'refuse':
        if (evictionSeen)
          await this.#leaveMark(new BoundLineage(stored?.binding ?? binding, ring, stored?.settled === true))
        throw refused(decision.reason, described, store.cursor)
      case 'restore':
        return this.#startRestore({
          source,
          described,
          reason: decision.reason,
          bound: new BoundLineage(binding, ring, false),
        })
      case 'rebuild':
        if (decision.history === 'other') board.forgetHistory()
        return this.#startRebuild(BoundLineage.fresh(binding), decision.reason)
      case 'fresh':
        this.#guard.begin()
        return this.#from(BoundLineage.fresh(binding), undefined, FROM_NOTHING)
      default:
        return this.#from(new BoundLineage(binding, ring, proven), stored?.skipped, {
          phase: 'live',
          verifiedLineage: stored !== undefined,
          provenHistory: proven,
          reconcile: decision.action === 'reconcile',
          proveAgain,
        })
    }
  }

  async #goOn(
    rebuild: Rebuild<S, T>,
    source: FollowSource,
    described: SourceDescription,
    finding: RebuildReason | undefined,
  ): Promise<Attached | undefined> {
    const { bound, cursor } = rebuild
    const staged = {
      binding: bound.binding,
      cursor,
      populated: !cursor.isNone,
      settled: bound.settled,
      appliedAtMs: bound.ring.newest?.timeMs,
    }
    const { decision, proven, proveAgain } = await this.#judge.decide(
      source,
      described,
      staged,
      finding,
      bound.ring,
    )
    const goesOn =
      decision.action === 'resume' ||
      decision.action === 'reconcile' ||
      (decision.action === 'fresh' && finding === undefined)
    if (goesOn) {
      const provenHistory = proven || decision.action === 'fresh'
      if (!provenHistory) bound.doubt()
      return { ...IN_REBUILD, bound, provenHistory, reconcile: decision.action === 'reconcile', proveAgain }
    }
    if ((await this.giveUp()) !== 'committed') return undefined
    if (rebuild.inPlace) {
      const reason = decision.action === 'rebuild' ? decision.reason : rebuild.reason
      const binding = bindingTo(this.#settings, described, bound.binding.evictionSeen)
      return this.#startRebuild(BoundLineage.fresh(binding), reason)
    }
    // It is the fold in use that is to be repaired, and that may not be allowed any more.
    const found = decision.action === 'rebuild' ? decision.reason : rebuild.reason
    return this.#attachFold(source, described, found)
  }

  #standing(stored: Lineage | undefined): FoldStanding {
    const { store } = this.#parts.keeper
    const appliedAtMs = stored?.anchors.at(-1)?.timeMs ?? store.cursor.memo?.serverTimeMs
    return {
      binding: stored?.binding,
      cursor: store.cursor,
      populated: store.stats.entries > 0,
      settled: stored?.settled === true,
      appliedAtMs,
      stages: store.features.staging,
      restores: this.#restore.isPossible,
    }
  }

  async #startRebuild(bound: BoundLineage, reason: RebuildReason): Promise<Attached | undefined> {
    this.#guard.begin()
    const rebuild = await this.#beginRebuild(bound, reason)
    return rebuild && { ...IN_REBUILD, bound, provenHistory: true, reconcile: false }
  }

  async #beginRebuild(bound: BoundLineage, reason: RebuildReason): Promise<Rebuild<S, T> | undefined> {
    this.#parts.board.dispatch({ type: 'rebuilding', reason })
    this.#rebuild = await Rebuild.begin(this.#parts, this.#writer, { reason, bound })
    this.#known = this.#parts.keeper.store
    if (this.#rebuild !== undefined) this.#bound = bound
    return this.#rebuild
  }

  /** `none`: the fold goes on as it is. The second fold is judged by the bucket once more before it is gone on with. */
  async #fastForward(
    source: FollowSource,
    described: SourceDescription,
    fold: FoldStanding,
    binding: Binding,
  ): Promise<Attached | undefined | 'none'> {
    const artifact = await this.#forward.open(source, described, fold)
    if (artifact === undefined) {
      this.#forward.consider(described, fold)
      return 'none'
    }
    try {
      this.#guard.forget()
      const bound = new BoundLineage(binding, artifact.ring, true)
      const rebuild = await this.#beginRebuild(bound, 'behindArtifact')
      if (rebuild === undefined) return undefined
      this.#writer.bind(bound)
      if ((await this.#forward.prime(rebuild, artifact)) !== 'committed') return undefined
      return await this.#goOn(rebuild, source, await this.#restore.describe(source), undefined)
    } finally {
      await this.#forward.release(artifact.store)
    }
  }

  async #startRestore(task: RestoreTask): Promise<Attached | undefined> {
    const { board, keeper } = this.#parts
    const { source, described, reason, bound } = task
    board.dispatch({ type: 'rebuilding', reason })
    try {
      const restored = await this.#restore.run(task)
      if (restored === undefined) return undefined
      this.#bound = restored
      this.#known = keeper.store
    } catch (error) {
      if (this.#signal.aborted) return undefined
      if (!(error instanceof Unrestored)) throw error
      const settled = this.#storedLineage()?.settled === true
      await this.#leaveMark(new BoundLineage(bound.binding, bound.ring, settled))
      throw refused(reason, described, keeper.store.cursor, error)
    }
    return this.#attachFold(source, await this.#restore.describe(source), undefined)
  }

  /** That eviction was seen is all that is written to a fold that may not be repaired. */
  async #leaveMark(bound: BoundLineage): Promise<void> {
    const { gate, keeper } = this.#parts
    const { store } = keeper
    if (bound.binding.evictionSeen && store.cursor.memo !== undefined) return
    bound.markEviction()
    this.#writer.bind(bound)
    await gate.run(async () => {
      try {
        const options = this.#writer.lineage.optionsFor(store, () => store.lineage, [])
        await store.apply([], bound.cursorOf(store.cursor), options)
      } catch {
        // The refusal says more than a fold that cannot be written.
      }
    })
  }

  /** What the fold in use keeps; of a store that keeps none, what this process remembers of it. */
  #storedLineage(): Lineage | undefined {
    const { store } = this.#parts.keeper
    if (store.lineage !== undefined) return decodeLineage(store.lineage)
    const bound = this.#bound
    if (store.features.lineage || bound === undefined || this.#known !== store) return undefined
    const { ring, settled } = bound
    return { binding: bound.binding, anchors: ring.anchors, anchorsComplete: ring.complete, settled }
  }

  /** A handle that was not seen before may stand where this process has not been. */
  #from(bound: BoundLineage, skipped: SkippedNames | undefined, rest: Omit<Attached, 'bound'>): Attached {
    const { board, keeper, oversize } = this.#parts
    if (this.#known !== keeper.store) oversize.restore(skipped)
    this.#known = keeper.store
    this.#bound = bound
    board.skipped = oversize.skipped
    return { ...rest, bound }
  }
}
