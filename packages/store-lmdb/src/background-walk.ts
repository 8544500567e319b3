import { open, type FileHandle } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { SnapshotError } from '@slip/kv-core'
import { RowCheck } from './file-check.ts'
import type { FoldCut } from './fold-cut.ts'
import { sealOf } from './fold-record.ts'
import { checkHead } from './head-check.ts'
import { walkPages, type WalkResult } from './page-walk.ts'

/** How a fold that is open is read through, again and again, for damage that came after it was opened. */
export interface WalkOptions {
  /** From the end of a round, or from the opening, to the next one. @default one day; the first after a minute */
  readonly everyMs?: number
  /** How much of the file is read in a second, at most. @default 4 MiB */
  readonly bytesPerSecond?: number
}

/** How far the walk has come. */
export interface WalkProgress {
  /** How often all of the fold was read. */
  readonly rounds: number
  /** Pages that were checked since the fold was opened. */
  readonly pages: number
}

/** What is walked: the newest commit, and the file it is in. */
export interface WalkedFold {
  readonly file: string
  /** Lets the pages of the newest commit be as they are until it is released. */
  pin(): Pick<FoldCut, 'state' | 'isOpen' | 'release'>
}

const WALK_DEFAULTS = { everyMs: 86_400_000, firstMs: 60_000, bytesPerSecond: 4 * 1024 * 1024 }

/** How long a read transaction is held: what the writer replaces meanwhile the file keeps. */
const HOLD_MS = 100
/** Damage is believed when it is seen again. */
const ATTEMPTS = 20
const AGAIN_MS = 10

/**
 * Reads the newest commit of an open fold by plain reads, a stretch of keys after the other and each in the
 * commit that is then the newest, so that no read transaction is held for long. What only all of the file
 * shows (counts, free pages) it leaves to `verifyLmdb`.
 */
export class BackgroundWalk {
  readonly #fold: () => WalkedFold
  readonly #onDamage: (damage: SnapshotError) => Promise<void>
  readonly #everyMs: number
  readonly #firstMs: number
  readonly #bytesPerSecond: number
  readonly #ended = new AbortController()
  readonly #running: Promise<void>
  #pause = new AbortController()
  #rounds = 0
  #pages = 0

  constructor(
    fold: () => WalkedFold,
    options: WalkOptions,
    onDamage: (damage: SnapshotError) => Promise<void>,
  ) {
    this.#fold = fold
    this.#onDamage = onDamage
    this.#everyMs = options.everyMs ?? WALK_DEFAULTS.everyMs
    this.#firstMs = Math.min(this.#everyMs, WALK_DEFAULTS.firstMs)
    this.#bytesPerSecond = options.bytesPerSecond ?? WALK_DEFAULTS.bytesPerSecond
    this.#running = this.#run().catch(() => undefined)
  }

  get progress(): WalkProgress {
    return { rounds: this.#rounds, pages: this.#pages }
  }

  /** Begins a round now: somebody met damage. */
  hurry(): void {
    this.#pause.abort()
  }

  async close(): Promise<void> {
    this.#ended.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    for (let pause = this.#firstMs; ; pause = this.#everyMs) {
      await this.#untilNext(pause)
      try {
        await this.#round()
        this.#rounds++
      } catch (error) {
        if (!SnapshotError.is(error) || error.code !== 'Corrupted') {
          // Not to be read now: the next round tries again.
          this.#ended.signal.throwIfAborted()
          continue
        }
        await this.#onDamage(error)
      }
    }
  }

  async #round(): Promise<void> {
    let database: string | undefined
    let after: Buffer | undefined
    do {
      const { databases, stoppedAt } = await this.#stretch(database, after)
      after = stoppedAt
      if (after === undefined) database = nextOf([...databases.keys()].sort(), database)
    } while (database !== undefined)
  }

  /** Walks on in `database`; what is above all of them where there is none. SnapshotError `Corrupted`. */
  async #stretch(database: string | undefined, after: Buffer | undefined): Promise<WalkResult> {
    for (let attempt = 1; ; attempt++) {
      this.#ended.signal.throwIfAborted()
      const fold = this.#fold()
      const from = performance.now()
      const cut = fold.pin()
      let found: WalkResult | SnapshotError
      let stayed: boolean
      try {
        found = await this.#read(fold.file, sealOf(cut.state), database, after)
        stayed = cut.isOpen && fold.file === this.#fold().file
      } finally {
        cut.release()
      }
      if (!SnapshotError.is(found)) {
        this.#pages += found.pages
        await this.#wait(
          Math.max(1, (found.bytes / this.#bytesPerSecond) * 1_000 - (performance.now() - from)),
        )
        return found
      }
      // What was closed or replaced meanwhile says nothing.
      if (stayed && attempt >= ATTEMPTS) throw found
      if (!stayed) attempt = 0
      await this.#wait(AGAIN_MS)
    }
  }

  async #read(
    path: string,
    seal: number,
    database: string | undefined,
    after: Buffer | undefined,
  ): Promise<WalkResult | SnapshotError> {
    const until = performance.now() + HOLD_MS
    const rows = new RowCheck(seal)
    let file: FileHandle | undefined
    const damaged = (what: string, at: number): SnapshotError =>
      new SnapshotError('Corrupted', `${path} is damaged: ${what}`, { path, at })
    try {
      file = await open(path, 'r')
      const head = await checkHead(file)
      if (head.verdict !== 'plausible') return damaged(head.what, head.at)
      let bytesLeft = this.#bytesPerSecond * (HOLD_MS / 1_000)
      const result = await walkPages(file, head.meta, {
        walks: (name) => name === database,
        skipFree: database !== undefined,
        onRecord: (name, key, value) => {
          bytesLeft -= key.length + value.length
          return rows.isIntact(name, key, value)
        },
        stretch: { after, goesOn: () => bytesLeft > 0 && performance.now() < until },
        signal: this.#ended.signal,
      })
      return result.damage === undefined ? result : damaged(result.damage.what, result.damage.at)
    } catch (error) {
      if (SnapshotError.is(error)) return error
      throw error
    } finally {
      await file?.close().catch(() => undefined)
    }
  }

  async #untilNext(ms: number): Promise<void> {
    this.#pause = new AbortController()
    const signal = AbortSignal.any([this.#ended.signal, this.#pause.signal])
    await delay(ms, undefined, { ref: false, signal }).catch(() => this.#ended.signal.throwIfAborted())
  }

  async #wait(ms: number): Promise<void> {
    await delay(ms, undefined, { ref: false, signal: this.#ended.signal })
  }
}

function nextOf(names: readonly string[], current: string | undefined): string | undefined {
  return names.find((name) => current === undefined || name > current)
}
