import { createHash, randomUUID } from 'node:crypto'
import { open, rename, stat, type FileHandle } from 'node:fs/promises'
import {
  MAX_LINEAGE_BYTES,
  SnapshotError,
  VersionToken,
  WatchCursor,
  bytesToHex,
  hexToBytes,
} from '@slip/kv-core'
import type { ApplyOptions, KvUpdate, Recovery, SnapshotLocation, SnapshotStore } from '@slip/kv-core'
import type { StoreFeatures, StoreStats } from '@slip/kv-core'
import { MapReads } from './map-reads.js'
import { dropLock, takeLock } from './process-lock.js'

const HEADER = 'line store 1\n'

/** The fold in memory; on disk a header, then each apply as one line: a checksum, a space, JSON. */
class LineStore extends MapReads implements SnapshotStore {
  readonly features: StoreFeatures = {
    durable: true,
    lineage: true,
    views: false,
    deletedKeys: false,
    staging: false,
    multiProcessReaders: false,
    maxKeyBytes: 1_024,
    maxValueBytes: 1 << 20,
  }
  durableCursor: WatchCursor = WatchCursor.none
  lineage: Uint8Array | undefined
  recovery: Recovery | undefined
  readonly #path: string
  readonly #file: FileHandle
  #bytes = 0
  #lastSum = ''
  #failure: SnapshotError | undefined

  constructor(path: string, file: FileHandle) {
    super()
    this.#path = path
    this.#file = file
  }

  /** Takes every whole line of the file; what a crash left of one more is cut off and reported. */
  async recover(): Promise<void> {
    const file = await this.#file.readFile()
    if (!HEADER.startsWith(file.toString('latin1', 0, HEADER.length)))
      throw new SnapshotError('InvalidFormat', `${this.#path} is no line store`, { at: 0 })
    let at = file.length < HEADER.length ? 0 : HEADER.length
    for (let end: number; (end = file.indexOf('\n', at)) > at; at = end + 1)
      if (!this.#take(file.toString('utf8', at, end)))
        throw new SnapshotError('Corrupted', `${this.#path} is damaged at ${at}`, { at })
    if (at < file.length) this.recovery = { verdict: 'torn', at, bytes: file.length - at }
    await this.#file.truncate(at)
    if (at === 0) await this.#file.appendFile(HEADER)
    await this.#file.sync()
    this.#bytes = Math.max(at, HEADER.length)
    this.durableCursor = this.cursor
  }

  async apply(batch: readonly KvUpdate[], cursor: WatchCursor, options: ApplyOptions = {}): Promise<void> {
    const updates = batch.map((update) => {
      const value = update.operation === 'put' ? bytesToHex(update.value) : null
      this.#mustFit(update.key, Buffer.byteLength(update.key), this.features.maxKeyBytes)
      this.#mustFit(update.key, (value?.length ?? 0) / 2, this.features.maxValueBytes)
      return [update.key, update.version.toHex(), value] as const
    })
    this.#mustFit('the lineage', options.lineage?.length ?? 0, MAX_LINEAGE_BYTES)
    const lineage = options.lineage && bytesToHex(options.lineage)
    await this.#append({ updates, cursor: cursor.toHex(), lineage })
  }

  async sync(): Promise<WatchCursor> {
    const { cursor } = this
    await this.#write(() => this.#file.sync())
    return (this.durableCursor = cursor)
  }

  get stats(): StoreStats {
    return { entries: this.live.size, deletedKeys: 0, bytes: this.#bytes }
  }

  async close(): Promise<void> {
    if (this.closed) return
    try {
      if (this.#failure === undefined) await this.sync()
    } finally {
      this.closed = true
      await this.#file.close()
      await dropLock(this.#path)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #append(commit: Commit): Promise<void> {
    const body = JSON.stringify(commit)
    const line = `${checksum(this.#lastSum, body)} ${body}`
    await this.#write(() => this.#file.appendFile(`${line}\n`))
    this.#bytes += Buffer.byteLength(line) + 1
    this.#take(line)
  }

  /** Makes one line the state, after an apply as after a reopen; false when the line is damaged. */
  #take(line: string): boolean {
    const [sum, body] = [line.slice(0, 64), line.slice(65)]
    if (sum !== checksum(this.#lastSum, body)) return false
    const { updates, cursor, lineage } = JSON.parse(body) as Commit
    for (const [key, version, value] of updates)
      if (value === null) this.live.delete(key)
      else this.live.set(key, { key, version: VersionToken.fromHex(version), value: hexToBytes(value) })
    this.cursor = WatchCursor.fromHex(cursor)
    if (lineage !== undefined) this.lineage = hexToBytes(lineage)
    this.#lastSum = sum
    return true
  }

  #mustFit(what: string, bytes: number, limit: number): void {
    if (bytes > limit) throw new SnapshotError('LimitExceeded', `${what.slice(0, 80)}: ${bytes} bytes`)
  }

  /** After a write or a sync that failed nothing of this handle is trusted: whoever holds it opens it again. */
  async #write(work: () => Promise<unknown>): Promise<void> {
    if (this.closed) throw new SnapshotError('Closed', `${this.#path} is closed`)
    if (this.#failure !== undefined) throw this.#failure
    try {
      await work()
    } catch (cause) {
      throw (this.#failure = new SnapshotError('Io', `writing ${this.#path} failed`, { cause }))
    }
  }
}

interface Commit {
  readonly updates: readonly (readonly [key: string, version: string, value: string | null])[]
  readonly cursor: string
  readonly lineage: string | undefined
}

/** Of one line, and through the sum before it of every line before. */
function checksum(before: string, body: string): string {
  return createHash('sha256').update(before).update(body).digest('hex')
}

async function openStore(path: string): Promise<LineStore> {
  await takeLock(path)
  let file: FileHandle | undefined
  try {
    file = await open(path, 'a+', 0o600)
    const store = new LineStore(path, file)
    await store.recover()
    return store
  } catch (cause) {
    await file?.close()
    await dropLock(path)
    throw SnapshotError.is(cause) ? cause : new SnapshotError('Io', `opening ${path} failed`, { cause })
  }
}

/** A fold at `path`, as `follow` and the conformance kit take it. */
export default function lineStore(path: string): SnapshotLocation {
  return {
    backend: 'lines',
    open: () => openStore(path),
    exists: async () => (await stat(path).catch(() => undefined)) !== undefined,
    setAside: async () => {
      const aside = `${path}.damaged-${randomUUID()}`
      await rename(path, aside)
      return aside
    },
  }
}
