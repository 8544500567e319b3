import {
  KvError,
  protocol,
  Slices,
  scopeCovers,
  scopePrefixes,
  VersionToken,
  WatchCursor,
} from '@slip/kv-core'
import type {
  KvUpdate,
  KvWatcher,
  SourceDescription,
  WaitOptions,
  WatchBatch,
  WatchOptions,
  WatchScope,
} from '@slip/kv-core'
import { evictsAfterMs, evictsCurrentValues } from './bucket-settings.ts'
import type { Bucket } from './bucket.ts'
import { MemoryHistory } from './history.ts'
import { newestThrough, type Message } from './message.ts'
import { entryOf } from './reader.ts'
import { Session } from './session.ts'

const MAX_BATCH_COUNT = 1024
const MAX_BATCH_BYTES = 1024 * 1024
/** Half of what the contract allows, so that a busy event loop does not make a watch look dead. */
const PROOF_OF_LIFE_MS = 500
const COUNT_ATTEMPTS = 3

/** Watches of one bucket. Each reads the log at its own position, so a slow reader queues nothing. */
export class MemoryWatcher implements KvWatcher {
  readonly history: MemoryHistory
  readonly #open: () => Bucket
  readonly #sessions = new Set<Session>()

  constructor(open: () => Bucket) {
    this.#open = open
    this.history = new MemoryHistory(open)
  }

  async describe(scope: WatchScope, options?: WaitOptions): Promise<SourceDescription> {
    const prefixes = scopePrefixes(scope)
    const keyCount = await countKeys(this.#open, prefixes, options)
    options?.signal?.throwIfAborted()
    const bucket = this.#open()
    const { settings } = bucket
    const ageMs = evictsAfterMs(settings)
    return {
      kind: 'memory',
      name: bucket.name,
      incarnation: bucket.incarnation,
      firstRevision: BigInt(bucket.log.firstRevision),
      lastRevision: BigInt(bucket.log.lastRevision),
      keyCount: BigInt(keyCount ?? countNow(bucket, prefixes)),
      evictsCurrentValues: evictsCurrentValues(settings),
      evictsOldestFirst: settings.markerTtlMs === undefined,
      ...(ageMs === undefined ? {} : { evictsAfterMs: ageMs }),
      historyPerKey: settings.history,
      serverTimeMs: bucket.nowMs,
    }
  }

  async *watch(scope: WatchScope, options: WatchOptions): AsyncGenerator<WatchBatch, void, undefined> {
    const prefixes = scopePrefixes(scope)
    const { signal } = options
    signal.throwIfAborted()
    const bucket = this.#open()
    const session = new Session()
    bucket.addSession(session)
    this.#sessions.add(session)
    try {
      const walk = new Walk(bucket, prefixes, options)
      let caughtUp = false
      let yieldedAt = 0
      for (;;) {
        bucket.expire()
        const updates = await walk.collect(() => session.throwIfEnded(signal))
        session.throwIfEnded(signal)
        const first: boolean = !caughtUp && walk.atEnd
        const quietFor = performance.now() - yieldedAt
        if (updates.length > 0 || first || quietFor >= PROOF_OF_LIFE_MS) {
          caughtUp ||= first
          yieldedAt = performance.now()
          yield { updates, caughtUp: first, atEnd: walk.atEnd, ...walk.bookmark }
        } else if (walk.atEnd) {
          const untilExpiry = Math.max(1, bucket.untilNextExpiry())
          await session.wait(Math.min(PROOF_OF_LIFE_MS - quietFor, untilExpiry), signal)
        }
        session.throwIfEnded(signal)
      }
    } finally {
      bucket.removeSession(session)
      this.#sessions.delete(session)
    }
  }

  /** Ends the watches that were opened here with KvError `Closed`. */
  close(): void {
    for (const session of this.#sessions) session.fail(new KvError('Closed', 'the bucket was closed'))
  }
}

/** One watch's way through the log. */
class Walk {
  readonly #bucket: Bucket
  readonly #prefixes: readonly string[]
  readonly #emptyIsTombstone: boolean
  /** Up to here only the newest message of a key counts: what a watch from the beginning gets. */
  readonly #newestOnlyThrough: number
  readonly #slices = new Slices('memory.watch')
  #position: number

  constructor(bucket: Bucket, prefixes: readonly string[], options: WatchOptions) {
    this.#bucket = bucket
    this.#prefixes = prefixes
    this.#emptyIsTombstone = options.emptyValues !== 'keep'
    const { after } = options
    const resumes = after !== undefined && !after.isNone
    this.#position = resumes ? resumePosition(bucket, after) : 0
    this.#newestOnlyThrough = resumes ? 0 : bucket.log.lastRevision
  }

  get atEnd(): boolean {
    return this.#position >= this.#bucket.log.lastRevision
  }

  get bookmark(): { bookmark?: WatchCursor } {
    return this.#position === 0 ? {} : { bookmark: WatchCursor.fromRevision(BigInt(this.#position)) }
  }

  async collect(throwIfEnded: () => void): Promise<KvUpdate[]> {
    const updates: KvUpdate[] = []
    let bytes = 0
    this.#slices.begin()
    while (updates.length < MAX_BATCH_COUNT && bytes < MAX_BATCH_BYTES) {
      if (this.#slices.due()) {
        await this.#slices.pause()
        throwIfEnded()
      }
      const message = this.#bucket.log.after(this.#position)
      if (message === undefined) {
        this.#position = Math.max(this.#position, this.#bucket.log.lastRevision)
        break
      }
      const size = message.key.length + message.value.length
      if (updates.length > 0 && bytes + size > MAX_BATCH_BYTES) break
      this.#position = message.revision
      if (!this.#wants(message)) continue
      updates.push(updateOf(message, this.#emptyIsTombstone))
      bytes += size
    }
    this.#slices.end()
    return updates
  }

  #wants(message: Message): boolean {
    if (!scopeCovers(this.#prefixes, message.key)) return false
    const through = this.#newestOnlyThrough
    return message.revision > through || newestThrough(this.#bucket.head(message.key), through) === message
  }
}

/** The message after which a resumed watch goes on; KvError `CursorExpired` for a position the bucket never gave. */
function resumePosition(bucket: Bucket, after: WatchCursor): number {
  const { lastRevision } = bucket.log
  const start = protocol.resumeStart(after)
  if (start.action === 'fromBeginning') return 0
  if (start.action === 'start' && start.fromRevision <= BigInt(lastRevision + 1))
    return Number(after.revision)
  throw new KvError(
    'CursorExpired',
    `cursor ${after.revision ?? after.toHex()} is no position of bucket ${bucket.name}, which ends at ${lastRevision}`,
    { cursor: after },
  )
}

function updateOf(message: Message, emptyIsTombstone: boolean): KvUpdate {
  const { key, operation, timeMs: writtenAtMs } = message
  const version = VersionToken.fromRevision(BigInt(message.revision))
  if (operation === 'expired') return { operation: 'delete', key, version, reason: 'expired', writtenAtMs }
  if (operation !== 'put') return { operation, key, version, writtenAtMs }
  if (message.value.length === 0 && emptyIsTombstone)
    return { operation: 'delete', key, version, reason: 'tombstone', writtenAtMs }
  return { operation: 'put', ...entryOf(message), writtenAtMs }
}

/** undefined when keys came or went during each attempt. */
async function countKeys(
  open: () => Bucket,
  prefixes: readonly string[],
  options: WaitOptions | undefined,
): Promise<number | undefined> {
  const slices = new Slices('memory.count')
  for (let attempt = 0; attempt < COUNT_ATTEMPTS; attempt++) {
    options?.signal?.throwIfAborted()
    const bucket = open()
    if (prefixes[0] === '') return undefined
    const version = bucket.keySetVersion
    let count = 0
    for (const key of bucket.keys()) {
      if (slices.due()) {
        await slices.pause()
        options?.signal?.throwIfAborted()
      }
      if (bucket.keySetVersion !== version) break
      if (scopeCovers(prefixes, key)) count++
    }
    if (bucket === open() && bucket.keySetVersion === version) return count
  }
  return undefined
}

function countNow(bucket: Bucket, prefixes: readonly string[]): number {
  if (prefixes[0] === '') return bucket.keyCount
  let count = 0
  for (const key of bucket.keys()) if (scopeCovers(prefixes, key)) count++
  return count
}
