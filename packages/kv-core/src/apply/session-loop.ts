import { type BatchLimits, Batcher } from '../batcher.ts'
import { WatchCursor } from '../cursor.ts'
import type { KvUpdate } from '../entry.ts'
import { protocol } from '../protocol/protocol.ts'
import { Slices } from '../slices.ts'
import type { WatchBatch } from '../source.ts'
import { Bell } from './bell.ts'
import type { FlushOutcome } from './flusher.ts'
import { Position } from './position.ts'

/** Why a session ended. What was delivered before has been flushed, unless `restart`. */
export type SessionEnd =
  | { readonly why: 'aborted' }
  /** The source threw, or ended without being asked to (`error` undefined). */
  | { readonly why: 'source'; readonly error: unknown }
  /** The fold stands elsewhere. */
  | { readonly why: 'restart' }
  | { readonly why: 'reattach' | 'rebuild'; readonly revision: bigint }

export interface SessionPorts {
  /** Begins the watch; what it throws is how the session ends. */
  open(): AsyncIterable<WatchBatch>
  readonly limits: BatchLimits
  /** The cursor the watch was opened after. */
  readonly from: WatchCursor
  /** Whether the last session ended with a revision that was delivered before. */
  readonly suspect: boolean
  readonly signal: AbortSignal
  /** `settled`: a fold that was a state of the bucket when the watch began is one again. */
  flush(
    updates: readonly KvUpdate[],
    bytes: number,
    cursor: WatchCursor,
    settled: boolean,
  ): Promise<FlushOutcome>
  /** The first batch is here, so the watch has begun; gives whether to go on, and with false has ended the session. */
  onBegun?(): Promise<boolean>
  /** The source is waited for. */
  onPull?(): void
  /** The source yielded a batch, which came at `receivedAtMs` where it says that. */
  onArrival?(receivedAtMs: number | undefined): void
  onDelivered?(newest: bigint): void
  /** Nothing was delivered of what follows this revision immediately: it was replaced, removed or evicted, or is out of scope. */
  onGap?(after: bigint): void
  /** After the flush of everything that existed when the watch began. */
  onCaughtUp?(): Promise<FlushOutcome>
  /** Whether somebody waits for a position, so that a bookmark is committed at once. */
  hurry?(): boolean
  /** Where somebody wants to look at the fold, exactly. */
  readonly cut?: SessionCut
}

/** A place between two updates at which a commit is made. */
export interface SessionCut {
  /** While it is, no batch is begun; the one in work, and commits, go on. */
  readonly isHeld: boolean
  /** The fold is wanted with everything up to this revision and nothing above; undefined when nobody wants it. */
  readonly revision: bigint | undefined
  /** A session begins, which is not held. */
  begin(session: CutSession): void
  /** The fold has everything up to `through`, and nothing above, until this returns. */
  onReached(through: bigint): void
  /** The source yielded a batch, which came at `receivedAtMs` where it says that. */
  onArrival(receivedAtMs: number | undefined): void
}

/** What a cut may know of its session. */
export interface CutSession {
  /** The highest revision delivered or bookmarked. */
  readonly frontier: bigint | undefined
  /** How many updates with a revision were delivered. */
  readonly delivered: bigint
  /** Whether the source is asked for a batch and has none. */
  readonly isPulling: boolean
  /** To be called when the cut has changed. */
  wake(): void
}

/** A quiet scope moves its cursor this often. */
const BOOKMARK_INTERVAL_MS = 1_000
const YIELD_EVERY = 256

/**
 * Runs one watch: pulls batches, judges their order, collects, and flushes. Ends with a reason;
 * rejects only with what `flush` rejects with.
 */
export async function runSession(ports: SessionPorts): Promise<SessionEnd> {
  const loop = new SessionLoop(ports)
  return loop.run()
}

type Pulled = { readonly result: IteratorResult<WatchBatch> } | { readonly error: unknown }

class SessionLoop implements CutSession {
  readonly #ports: SessionPorts
  #iterator: AsyncIterator<WatchBatch> | undefined
  readonly #batcher: Batcher
  readonly #position: Position
  readonly #bell = new Bell()
  readonly #slices = new Slices('follow.apply')
  #pulled: Pulled | undefined
  #lastCommitMs = performance.now()
  #delivered = 0
  #isPulling = false
  #over = false
  #hasEnded = false
  #hasBegun = false
  #timer: NodeJS.Timeout | undefined
  #armedForMs = Infinity

  constructor(ports: SessionPorts) {
    this.#ports = ports
    this.#batcher = new Batcher(ports.limits)
    this.#position = new Position(ports.from)
  }

  get frontier(): bigint | undefined {
    return this.#position.frontier
  }

  get delivered(): bigint {
    return BigInt(this.#delivered)
  }

  get isPulling(): boolean {
    return this.#isPulling
  }

  wake(): void {
    this.#bell.ring()
  }

  async run(): Promise<SessionEnd> {
    const { signal, cut } = this.#ports
    signal.addEventListener('abort', this.#bell.ring)
    cut?.begin(this)
    try {
      this.#pull()
      return await this.#loop()
    } finally {
      this.#hasEnded = true
      signal.removeEventListener('abort', this.#bell.ring)
      clearTimeout(this.#timer)
      // The source may be the reason for the end, or be stuck: its farewell is not waited for.
      void leave(this.#iterator).catch(() => undefined)
    }
  }

  async #loop(): Promise<SessionEnd> {
    for (;;) {
      const pulled = this.#ready
      let end: SessionEnd | undefined
      if (this.#ports.signal.aborted) end = { why: 'aborted' }
      else if (pulled !== undefined) {
        this.#pulled = undefined
        if ('error' in pulled) end = { why: 'source', error: pulled.error }
        else if (pulled.result.done === true) end = { why: 'source', error: undefined }
        else {
          end = await this.#take(pulled.result.value)
          if (end === undefined) this.#pull()
        }
      }
      if (end !== undefined) return (await this.#flush()) === 'restart' ? { why: 'restart' } : end
      if (this.#isAtCut(this.#position.frontier ?? 0n, 'reached')) {
        if (!(await this.#commitCut())) return this.#stopped()
      } else if (this.#dueAtMs() <= performance.now()) {
        if ((await this.#flush()) !== 'committed') return this.#stopped()
      } else if (this.#ready === undefined) await this.#waitUntilDue()
    }
  }

  /** What was pulled; a batch waits while the session is held. */
  get #ready(): Pulled | undefined {
    const pulled = this.#pulled
    if (pulled === undefined || 'error' in pulled || pulled.result.done === true) return pulled
    return this.#ports.cut?.isHeld === true ? undefined : pulled
  }

  #pull(): void {
    this.#isPulling = true
    this.#ports.onPull?.()
    try {
      this.#iterator ??= this.#ports.open()[Symbol.asyncIterator]()
      this.#iterator.next().then(
        (result) => this.#arrived({ result }),
        (error: unknown) => this.#arrived({ error }),
      )
    } catch (error) {
      this.#arrived({ error })
    }
  }

  #arrived(pulled: Pulled): void {
    // What comes late proves nothing of the session after this one.
    if (this.#hasEnded) return
    this.#pulled = pulled
    this.#isPulling = false
    if ('result' in pulled && pulled.result.done !== true) {
      const { receivedAtMs } = pulled.result.value
      this.#ports.onArrival?.(receivedAtMs)
      this.#ports.cut?.onArrival(receivedAtMs)
    }
    this.#bell.ring()
  }

  async #take(batch: WatchBatch): Promise<SessionEnd | undefined> {
    const { suspect } = this.#ports
    if (!this.#hasBegun) {
      this.#hasBegun = true
      if ((await this.#ports.onBegun?.()) === false) return this.#stopped()
    }
    const position = this.#position
    this.#slices.begin()
    let nowMs = performance.now()
    let sinceYield = 0
    for (const update of batch.updates) {
      const revision = update.version.revision
      const verdict = protocol.onDelivery({ frontier: position.frontier, revision, suspect })
      if (verdict !== 'apply') return { why: verdict, revision: revision! }
      if (this.#isAtCut(revision) && !(await this.#commitCut())) return this.#stopped()
      if (!this.#batcher.offer(update, nowMs)) {
        if (!(await this.#flushNow())) return this.#stopped()
        nowMs = performance.now()
        this.#batcher.offer(update, nowMs)
      }
      this.#noticeGap(revision)
      position.advance(update.version, revision)
      if (revision !== undefined) this.#delivered++
      if (this.#batcher.full) {
        if (!(await this.#flushNow())) return this.#stopped()
        nowMs = performance.now()
      } else if (++sinceYield === YIELD_EVERY) {
        sinceYield = 0
        if (this.#slices.due()) await this.#slices.pause()
      }
    }
    this.#slices.end()
    if (batch.bookmark !== undefined) {
      const { revision } = batch.bookmark
      this.#noticeGap(revision === undefined ? undefined : revision + 1n)
      position.bookmark(batch.bookmark)
    }
    if (batch.atEnd === true) position.atEnd()
    if (this.#isAtCut(position.frontier, 'reached') && !(await this.#commitCut())) return this.#stopped()
    if (position.frontier !== undefined) this.#ports.onDelivered?.(position.frontier)
    if (!batch.caughtUp) return undefined
    if ((await this.#flush()) !== 'committed') return this.#stopped()
    return (await this.#ports.onCaughtUp?.()) === 'restart' ? { why: 'restart' } : undefined
  }

  /** Whether everything up to the cut was delivered: `next` lies above it, or the watch has reached it. */
  #isAtCut(next: bigint | undefined, reached?: 'reached'): boolean {
    const cut = this.#ports.cut?.revision
    return cut !== undefined && next !== undefined && (reached === undefined ? next > cut : next >= cut)
  }

  /** `next` is what comes after the frontier. */
  #noticeGap(next: bigint | undefined): void {
    const { frontier } = this.#position
    if (frontier !== undefined && next !== undefined && next > frontier + 1n) this.#ports.onGap?.(frontier)
  }

  async #commitCut(): Promise<boolean> {
    if (!(await this.#flushNow())) return false
    this.#ports.cut?.onReached(this.#position.frontier ?? 0n)
    return true
  }

  /** A flush inside a delivery. */
  async #flushNow(): Promise<boolean> {
    this.#slices.end()
    const outcome = await this.#flush()
    this.#slices.begin()
    return outcome === 'committed'
  }

  #stopped(): SessionEnd {
    return this.#ports.signal.aborted ? { why: 'aborted' } : { why: 'restart' }
  }

  #dueAtMs(): number {
    if (this.#batcher.count > 0) return this.#batcher.dueAtMs
    if (!this.#position.moved) return Infinity
    return this.#ports.hurry?.() === true ? 0 : this.#lastCommitMs + BOOKMARK_INTERVAL_MS
  }

  /** One timer serves a whole window, however many deliveries come in it. */
  #waitUntilDue(): Promise<void> {
    const dueAtMs = this.#dueAtMs()
    if (dueAtMs !== this.#armedForMs) {
      clearTimeout(this.#timer)
      this.#armedForMs = dueAtMs
      if (dueAtMs !== Infinity)
        this.#timer = setTimeout(this.#onTimer, Math.max(0, Math.ceil(dueAtMs - performance.now())))
    }
    return this.#bell.wait()
  }

  readonly #onTimer = (): void => {
    this.#armedForMs = Infinity
    this.#bell.ring()
  }

  /** Commits what was collected, and the position; nothing to commit counts as committed. */
  async #flush(): Promise<FlushOutcome> {
    // After a batch that was not committed nothing may move the cursor past it.
    if (this.#over) return 'abandoned'
    if (this.#batcher.count === 0 && !this.#position.moved) return 'committed'
    const { cursor, settled } = this.#position
    const { updates, bytes } = this.#batcher.take()
    const outcome = await this.#ports.flush(updates, bytes, cursor, settled)
    this.#lastCommitMs = performance.now()
    if (outcome === 'committed') this.#position.committed()
    else this.#over = true
    return outcome
  }
}

async function leave(iterator: AsyncIterator<WatchBatch> | undefined): Promise<void> {
  await iterator?.return?.()
}
