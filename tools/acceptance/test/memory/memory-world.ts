import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  follow,
  scopeCovers,
  scopePrefixes,
  type ApplyPhase,
  type Follower,
  type FollowOptions,
  type FollowStatus,
  type SnapshotLocation,
  type StoreConfig,
  type WatchScope,
} from '@slip/kv-core'
import { memoryBucket, MemoryConnection, type MemoryFaults, type MemoryStore } from '@slip/memory'
import { appendLog } from '@slip/store-applog'
import { lmdb } from '@slip/store-lmdb'

export const BUCKET = 'config'
export const AUDIT_MS = 100

export type StoreKind = 'append log' | 'LMDB'

export const STORES: readonly StoreKind[] = ['append log', 'LMDB']

const LOCATIONS: Readonly<Record<StoreKind, (directory: string) => SnapshotLocation>> = {
  'append log': (directory) => appendLog({ path: join(directory, 'fold.slip') }),
  LMDB: (directory) => lmdb({ path: join(directory, 'fold.lmdb'), durability: 'os' }),
}

/** A bucket in this process with a clock of its own, and one follower of it at a time. */
export class MemoryWorld implements AsyncDisposable {
  readonly scope: WatchScope
  readonly store: MemoryStore
  readonly faults: MemoryFaults
  /** Which states and reasons the followers went through. */
  readonly seen: { readonly state: string; readonly reason: string | undefined }[] = []
  readonly #connection: MemoryConnection
  readonly #directory: string
  readonly #kind: StoreKind
  readonly #clock: { nowMs: number }
  #follower: Follower | undefined
  #gate:
    | { readonly phase: ApplyPhase; batches: number; readonly open: Promise<void>; release(): void }
    | undefined

  private constructor(
    connection: MemoryConnection,
    store: MemoryStore,
    parts: { scope: WatchScope; kind: StoreKind; directory: string; clock: { nowMs: number } },
  ) {
    this.#connection = connection
    this.store = store
    this.faults = connection.faults
    this.scope = parts.scope
    this.#directory = parts.directory
    this.#kind = parts.kind
    this.#clock = parts.clock
  }

  static async open(
    scope: WatchScope,
    config: StoreConfig,
    kind: StoreKind = 'append log',
  ): Promise<MemoryWorld> {
    const clock = { nowMs: Date.now() }
    const connection = new MemoryConnection({ now: () => clock.nowMs })
    const store = await connection.store(BUCKET, config)
    const directory = await mkdtemp(join(tmpdir(), 'slip-memory-'))
    return new MemoryWorld(connection, store, { scope, kind, directory, clock })
  }

  /** Time passes for the bucket, and for nothing else. */
  pass(ms: number): void {
    this.#clock.nowMs += ms
  }

  async put(...keys: readonly string[]): Promise<bigint> {
    let last = 0n
    for (const key of keys) {
      this.pass(1)
      last = (await this.store.writer.put(key, `${key} at ${this.#clock.nowMs}`)).revision!
    }
    return last
  }

  /** The last revision the bucket gave. */
  async last(): Promise<bigint> {
    return (await this.store.watcher.describe('all')).lastRevision!
  }

  get follower(): Follower {
    if (this.#follower === undefined) throw new Error('nobody follows')
    return this.#follower
  }

  get status(): FollowStatus {
    return this.follower.status
  }

  async follow(options: Partial<FollowOptions> = {}): Promise<void> {
    this.#follower = await follow({
      source: memoryBucket(this.#connection, BUCKET),
      store: LOCATIONS[this.#kind](this.#directory),
      scope: this.scope,
      auditIntervalMs: AUDIT_MS,
      batch: { maxCount: 50 },
      apply: async (_batch, { phase }) => {
        const gate = this.#gate
        if (gate?.phase === phase && --gate.batches < 0) await gate.open
      },
      ...options,
    })
    this.#follower.onStatus(({ state, reason }) => this.seen.push({ state, reason }))
  }

  async stop(): Promise<void> {
    await this.#follower?.close()
    this.#follower = undefined
  }

  /** `apply` does not return any more after `batches` in this phase; the returned function waits for that. */
  hold(phase: ApplyPhase, batches: number): () => Promise<void> {
    let release!: () => void
    const open = new Promise<void>((resolve) => (release = resolve))
    const gate = { phase, batches, open, release }
    this.#gate = gate
    return () => this.until(() => gate.batches < 0)
  }

  release(): void {
    const gate = this.#gate
    this.#gate = undefined
    gate?.release()
  }

  async until(reached: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
    const end = performance.now() + ms
    while (!(await reached())) {
      if (performance.now() > end) throw new Error(`not within ${ms} ms: ${reached.toString()}`)
      await sleep(3)
    }
  }

  /** What the fold has otherwise than the bucket, in scope. */
  async differences(): Promise<string[]> {
    const prefixes = scopePrefixes(this.scope)
    const wanted = new Map<string, string>()
    for await (const { key, value, version } of this.store.reader.scan(''))
      if (scopeCovers(prefixes, key)) wanted.set(key, `${version.revision} ${Buffer.from(value).toString()}`)
    const wrong: string[] = []
    for (const { key, value, version } of this.follower.entries()) {
      const found = `${version.revision} ${Buffer.from(value).toString()}`
      if (wanted.get(key) !== found) wrong.push(`${key}: ${found}, not ${wanted.get(key)}`)
      wanted.delete(key)
    }
    for (const [key, value] of wanted) wrong.push(`${key}: nothing, not ${value}`)
    return wrong
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
    await this.stop()
    await this.#connection.close()
    await rm(this.#directory, { recursive: true, force: true })
  }
}
