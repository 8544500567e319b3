import { setImmediate as turn } from 'node:timers/promises'
import { decodeLineage, follow, WatchCursor, type Follower, type SourceOpener } from '@slip/kv-core'
import type { AttachShape, AttachState } from '@slip/model'
import { vi } from 'vitest'
import { ReplayBucket } from './replay-bucket.ts'
import { ReplayLocation, type Image, type ReplayStore } from './replay-store.ts'

const FAR_MS = 1e9
const AUDIT_MS = 1_000
/** How long an audit waits for the fold. */
const CUT_MS = 2_000
const MOST_TIMERS = 50

/** What a model's state and the real follower can be compared by. */
export type Abstraction = Readonly<Record<string, string | number | boolean>>

/** The real follower, driven by the steps of the attach model: each is taken when it is called, and none else. */
export class ReplayFollower {
  readonly #shape: AttachShape
  readonly #bucket: ReplayBucket
  #location = new ReplayLocation()
  #follower: Follower<ReplayStore> | undefined
  #connect: (() => void) | undefined
  #failed = false

  constructor(shape: AttachShape, state: AttachState) {
    this.#shape = shape
    this.#bucket = new ReplayBucket(shape, state)
  }

  /** Takes one step; `before` and `after` are the states of the model around it. */
  async take(action: string, before: AttachState, after: AttachState): Promise<void> {
    this.#bucket.state = after
    switch (action) {
      case 'start the follower':
        await this.#start()
        break
      case 'attach':
        await this.#attach()
        break
      case 'deliver':
        this.#session.give({
          updates: [this.#next(before)],
          caughtUp: false,
          atEnd: this.#shape.nextAfter(after, after.sent) === 0,
        })
        break
      case 'bookmark':
        this.#session.give({
          updates: [],
          caughtUp: false,
          atEnd: true,
          bookmark: WatchCursor.fromRevision(BigInt(before.last)),
        })
        break
      case 'caught up':
        this.#session.give({ updates: [], caughtUp: true })
        break
      case 'audit':
        await this.#audit(before)
        break
      case 'disconnect':
      case 'notice a dead watch':
        this.#session.fail()
        break
      case 'crash':
        await this.abandon()
        break
      default:
    }
    await turn()
  }

  /** The process is gone: what it had in memory too. */
  async abandon(): Promise<void> {
    const gone = this.#follower
    this.#location = this.#location.afterCrash()
    this.#follower = undefined
    this.#failed = false
    this.#bucket.session = undefined
    void gone?.close().catch(() => undefined)
    await turn()
  }

  abstraction(): Abstraction {
    const { image, staged } = this.#location
    const status = this.#follower?.status
    return {
      fold: this.#row(image),
      cursor: Number(image.cursor.revision ?? 0n),
      incarnation: incarnationOf(image),
      staged: staged === undefined ? '' : `${this.#row(staged)} @${staged.cursor.revision ?? 0n}`,
      watching: this.#bucket.session !== undefined,
      live: status?.state === 'live',
      failed: this.#failed,
    }
  }

  get #session(): NonNullable<ReplayBucket['session']> {
    const { session } = this.#bucket
    if (session === undefined) throw new Error('there is no session')
    return session
  }

  async #start(): Promise<void> {
    const watcher = this.#bucket
    const source: SourceOpener = () =>
      new Promise((resolve) => {
        this.#connect = () => resolve({ name: 'replay', watcher })
      })
    const follower = await follow<ReplayStore>({
      source,
      store: this.#location,
      batch: { maxCount: 1 },
      auditIntervalMs: AUDIT_MS,
      staleAfterMs: FAR_MS,
    })
    this.#follower = follower
    follower.closed.catch(() => {
      this.#failed = this.#follower === follower
    })
    // While somebody waits, a bookmark is committed at once.
    follower.waitFor(BigInt(FAR_MS)).catch(() => undefined)
  }

  /** Goes on until the next watch is open: through the back-off, the description and the anchors. */
  async #attach(): Promise<void> {
    this.#connect?.()
    this.#connect = undefined
    await this.#until(() => this.#bucket.session !== undefined || this.#failed)
  }

  /** A fold that is behind is waited for; here it does not come, and the audit gives up. */
  async #audit({ cursor, last }: AttachState): Promise<void> {
    const { descriptions } = this.#bucket
    await this.#until(() => this.#bucket.descriptions > descriptions)
    await turn()
    if (cursor !== last && this.#bucket.session !== undefined) vi.advanceTimersByTime(CUT_MS)
  }

  async #until(done: () => boolean): Promise<void> {
    for (let timers = 0; timers < MOST_TIMERS; timers++) {
      await turn()
      if (done()) return
      vi.advanceTimersToNextTimer()
    }
    throw new Error('the follower does not get there')
  }

  #next(before: AttachState): ReturnType<ReplayBucket['update']> {
    const { messages, scoped } = this.#shape
    const revision = this.#shape.nextAfter(before, before.sent)
    for (let k = 0; k < scoped; k++) {
      const code = before.bucket.at(k)
      if (messages.revision(code) === revision) return this.#bucket.update(k, code)
    }
    throw new Error('there is nothing to deliver')
  }

  #row({ entries, deleted }: Image): string {
    return Array.from({ length: this.#shape.scoped }, (_, k) => {
      const update = entries.get(`k${k}`) ?? deleted.get(`k${k}`)
      return this.#shape.messages.show(update?.writtenAtMs ?? 0)
    }).join(' ')
  }
}

function incarnationOf({ lineage }: Image): string {
  return lineage === undefined ? '' : (decodeLineage(lineage).binding.incarnation ?? '')
}
