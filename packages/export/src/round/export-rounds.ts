import type { Follower, KvStore, ObjectStore, WatchCursor } from '@slip/kv-core'
import { orAborted } from '../objects/object-body.ts'
import type { Manifest } from '../manifest.ts'
import type { PublishOptions } from '../remote/publish-artifact.ts'
import { LeaseSightings } from './lease-sightings.ts'
import { SYSTEM_CLOCK, type RoundClock } from './round-clock.ts'
import { nextLookMs, nextTryMs } from './round-pace.ts'
import type { RoundOutcome, RoundReport, RoundsStatus, RoundTrouble } from './round-report.ts'
import { runExportRound, type ExportRoundOptions } from './run-export-round.ts'

/** What a round needs of the outside. */
export interface RoundPlace extends Pick<PublishOptions, 'source'> {
  /** Has the key of the lease. */
  readonly bucket: KvStore
  readonly to: ObjectStore
  close?(): Promise<void>
}

export interface ExportRoundsOptions extends Pick<
  ExportRoundOptions,
  'name' | 'interchange' | 'scope' | 'signingKey' | 'scratchDirectory'
> {
  /** One artifact in so long, of all nodes that share a lease: it lasts as long. From 1 ms to 24 days. */
  readonly everyMs: number
  readonly lease: {
    readonly key: string
    /** Another one for each process. */
    readonly holderId: string
  }
  /**
   * How old what is published gets before it is made anew although the fold is as it was: importers may ask for a
   * greatest age, and what was lost of it comes back. 0: each round exports. @default ten rounds
   */
  readonly refreshMs?: number | undefined
  /** Called for each round; what it gives is closed behind it. */
  readonly open: (options: { readonly signal: AbortSignal }) => Promise<RoundPlace>
  readonly onRound?: ((report: RoundReport) => void) | undefined
  readonly signal?: AbortSignal | undefined
  readonly clock?: RoundClock | undefined
}

type Done = Extract<RoundOutcome, { readonly cursor: WatchCursor }>

const REFRESH_ROUNDS = 10
/** The longest a timer of Node waits, with room for what is added to it. */
const MOST_MS = 24 * 24 * 3_600_000

/**
 * The rounds of a node that follows: while its follower lives it looks when the lease of the fleet is free, and
 * has a round then. One round at a time, beside the follower, which goes on applying; while that is not in
 * step no round begins. A round that fails is tried again, in a second first, then with each failure later, up
 * to a round. Ends with the follower, and with `close` or its signal in the middle of a round: that is
 * aborted, its lease given back and its files are removed.
 *
 * When a lease ends is judged by what this process has seen of it, by a clock that only goes forward, and by the
 * times in its record where that does not tell: a fleet whose clocks differ does not export more often.
 */
export class ExportRounds implements AsyncDisposable {
  readonly #follower: Follower
  readonly #options: ExportRoundsOptions
  readonly #clock: RoundClock
  readonly #sightings: LeaseSightings
  readonly #stop = new AbortController()
  readonly #over: Promise<void>
  readonly #counts = { published: 0, unchanged: 0, superseded: 0, held: 0, failed: 0 }
  #state: RoundsStatus['state'] = 'waiting'
  #last: RoundReport | undefined
  #failures = 0
  /** What this process publishes may be made otherwise than what is there: its first artifact is made in any case. */
  #hasPublished = false
  /** The lease of another node that was reported last. */
  #toldOf: LeaseSightings['lease']

  private constructor(follower: Follower, options: ExportRoundsOptions) {
    this.#follower = follower
    this.#options = options
    this.#clock = options.clock ?? SYSTEM_CLOCK
    this.#sightings = new LeaseSightings(() => this.#clock.monotonicMs())
    const { signal } = options
    const end = (): void => this.#stop.abort(signal?.reason)
    signal?.addEventListener('abort', end)
    if (signal?.aborted === true) end()
    void follower.closed.catch(() => undefined).then(end)
    this.#over = this.#run().finally(() => {
      signal?.removeEventListener('abort', end)
      this.#state = 'closed'
    })
  }

  /** `RangeError` for a time that cannot be waited for. */
  static start(follower: Follower, options: ExportRoundsOptions): ExportRounds {
    if (!(options.everyMs >= 1 && options.everyMs <= MOST_MS))
      throw new RangeError(`everyMs must be from 1 to ${MOST_MS}, not ${options.everyMs}`)
    return new ExportRounds(follower, options)
  }

  get status(): RoundsStatus {
    return {
      state: this.#state,
      ...this.#counts,
      ...(this.#last === undefined ? {} : { last: this.#last }),
    }
  }

  /** Ends a round that is running, and resolves when nothing of it is left. Idempotent. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#over
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    let waitMs = nextLookMs(0, this.#pace)
    while (!signal.aborted) {
      await this.#clock.sleep(waitMs, signal)
      if (!(await this.#inStep())) return
      this.#state = 'running'
      const report = await this.#round()
      if (signal.aborted && report?.outcome !== 'published') return
      this.#state = 'waiting'
      waitMs = report?.outcome === 'failed' ? report.retryInMs : this.#untilFreeMs()
      if (report !== undefined) this.#tell(report)
    }
  }

  get #pace(): { readonly everyMs: number; readonly random: number } {
    return { everyMs: this.#options.everyMs, random: this.#clock.random() }
  }

  #untilFreeMs(): number {
    return nextLookMs(this.#sightings.freeInMs(this.#clock.unixMs()), this.#pace)
  }

  /** Waits until the follower is live; false when there is no more to wait for. */
  async #inStep(): Promise<boolean> {
    const { signal } = this.#stop
    if (signal.aborted) return false
    return this.#follower.caughtUp({ signal }).then(
      () => !signal.aborted,
      () => false,
    )
  }

  /** undefined when it was aborted, and when there is no news. */
  async #round(): Promise<RoundReport | undefined> {
    const { signal } = this.#stop
    const beganMs = this.#clock.monotonicMs()
    const troubles: RoundTrouble[] = []
    const time = (): {
      readonly atMs: number
      readonly tookMs: number
      readonly troubles: RoundTrouble[]
    } => ({
      atMs: this.#clock.unixMs(),
      tookMs: this.#clock.monotonicMs() - beganMs,
      troubles,
    })
    try {
      const done = await this.#exported(troubles)
      if (done !== undefined) {
        this.#failures = 0
        return { ...done, ...time() }
      }
      const { lease } = this.#sightings
      if (lease === undefined || lease === this.#toldOf || lease.holderId === this.#options.lease.holderId)
        return undefined
      this.#toldOf = lease
      return { outcome: 'held', holderId: lease.holderId, ...time() }
    } catch (thrown) {
      if (signal.aborted) return undefined
      const error = thrown instanceof Error ? thrown : new Error(String(thrown))
      return { outcome: 'failed', error, retryInMs: nextTryMs(++this.#failures, this.#pace), ...time() }
    }
  }

  /** undefined when another node has the round. */
  async #exported(troubles: RoundTrouble[]): Promise<Done | undefined> {
    const { signal } = this.#stop
    const { everyMs, lease, open, onRound: _, clock: __, ...how } = this.#options
    const { refreshMs = REFRESH_ROUNDS * everyMs } = how
    const opening = open({ signal })
    const place = await orAborted(opening, signal).catch((error: unknown) => {
      // One that comes too late is nobody's.
      void opening.then((late) => late.close?.()).catch(() => undefined)
      throw error
    })
    let done: ((manifest: Manifest) => Done) | undefined
    try {
      const manifest = await runExportRound({
        ...how,
        refreshMs: this.#hasPublished ? refreshMs : 0,
        store: this.#follower,
        to: place.to,
        source: place.source,
        signal,
        lease: {
          ...lease,
          bucket: place.bucket,
          ttlMs: everyMs,
          sightings: this.#sightings,
          now: () => this.#clock.unixMs(),
        },
        onUnchanged: ({ pointer, payload }) =>
          (done = ({ cursor }) => ({ outcome: 'unchanged', cursor, pointer, payload })),
        onPublished: (published) => {
          if (published.outcome === 'published') this.#hasPublished = true
          done = ({ cursor }) => ({ ...published, cursor })
        },
        onTrouble: (step, error) => troubles.push({ step, error }),
      })
      return manifest && done!(manifest)
    } finally {
      await place.close?.().catch((error: unknown) => troubles.push({ step: 'close', error }))
    }
  }

  #tell(report: RoundReport): void {
    this.#counts[report.outcome]++
    this.#last = report
    try {
      this.#options.onRound?.(report)
    } catch (thrown) {
      // A listener of the caller must not end the rounds; the caller hears of it as of any stray throw.
      queueMicrotask(() => {
        throw thrown
      })
    }
  }
}
