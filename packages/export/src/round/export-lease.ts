import {
  KvError,
  protocol,
  VersionToken,
  WatchCursor,
  type KvStore,
  type KvWriter,
  type WaitOptions,
} from '@slip/kv-core'
import { decodeLeaseRecord, encodeLeaseRecord, type LeaseRecord } from './lease-record.ts'
import type { LeaseSightings } from './lease-sightings.ts'
import { settledWrite } from './settled-write.ts'

export interface LeaseOptions extends WaitOptions {
  /** Who holds it, for those who look. */
  readonly holderId: string
  /** How long a round may take: nobody else begins one before. Rounded up to whole seconds. */
  readonly ttlMs: number
  /**
   * For who looks at this lease again and again: what was seen of it before, which counts for more than clocks that
   * may differ. One for each lease; this look is added to it.
   */
  readonly sightings?: LeaseSightings | undefined
  /** Unix milliseconds. @default `Date.now` */
  readonly now?: (() => number) | undefined
}

/** What a lease says. Times are Unix seconds. */
export interface LeaseState {
  readonly holderId: string
  readonly acquiredAtUnix: number
  readonly expiresAtUnix: number
  /** What the last round of this holder published. */
  readonly completedCursor?: WatchCursor
  readonly completedAtUnix?: number
}

/**
 * The right to one round of exporting, as a record under a key of a bucket that the Rust system shares. It only
 * saves work: with clocks that differ, or a holder that was stopped, two rounds cost an export, and the
 * pointer of the artifacts does not go back.
 */
export class ExportLease {
  readonly #bucket: KvStore
  readonly #writer: KvWriter
  readonly #key: string
  readonly #now: () => number
  readonly #sightings: LeaseSightings | undefined
  #record: LeaseRecord
  #version: VersionToken

  private constructor(
    bucket: KvStore,
    key: string,
    { now = Date.now, sightings }: Pick<LeaseOptions, 'now' | 'sightings'>,
    record: LeaseRecord,
    version: VersionToken,
  ) {
    this.#bucket = bucket
    this.#writer = writerOf(bucket)
    this.#key = key
    this.#now = now
    this.#sightings = sightings
    this.#record = record
    this.#version = version
  }

  /**
   * undefined when somebody has it. It lasts for `ttlMs` whether it is completed or not; an abandoned one, one
   * that ended, and a value that is no lease are taken over. KvError of the bucket, `Unsupported`
   * without a writer; `RangeError` unless `ttlMs` is above 0.
   */
  static async tryAcquire(
    bucket: KvStore,
    key: string,
    { holderId, ttlMs, sightings, now = Date.now, ...wait }: LeaseOptions,
  ): Promise<ExportLease | undefined> {
    if (!(ttlMs > 0)) throw new RangeError(`ttlMs must be above 0, not ${ttlMs}`)
    const writer = writerOf(bucket)
    const askedMs = sightings?.nowMs ?? 0
    const entry = await bucket.reader.entry(key, wait)
    const held = entry && decodeLeaseRecord(entry.value)
    const decision = protocol.lease({
      found: entry !== undefined,
      expiresAtUnix: held?.expiresAtUnix ?? 0n,
      nowMs: now(),
      ttlMs,
      sighting: sightings?.saw(held, askedMs),
    })
    if (decision === 'held') return undefined
    const { acquiredAtUnix, expiresAtUnix } = decision
    const record: LeaseRecord = { holderId, acquiredAtUnix, expiresAtUnix }
    const value = encodeLeaseRecord(record)
    const write = (): Promise<VersionToken> =>
      entry === undefined ? writer.create(key, value, wait) : writer.update(key, value, entry.version, wait)
    const version = await settledWrite(bucket.reader, key, value, write, wait)
    if (version === undefined) return undefined
    sightings?.wrote(record, askedMs)
    return new ExportLease(bucket, key, { now, sightings }, record, version)
  }

  /** undefined when there is none, when it was abandoned, and for a value that is no lease. */
  static async current(
    bucket: KvStore,
    key: string,
    wait: WaitOptions = {},
  ): Promise<LeaseState | undefined> {
    const entry = await bucket.reader.entry(key, wait)
    const record = entry && decodeLeaseRecord(entry.value)
    if (record === undefined) return undefined
    const cursor = cursorOf(record.completedCursorHex)
    return {
      holderId: record.holderId,
      acquiredAtUnix: Number(record.acquiredAtUnix),
      expiresAtUnix: Number(record.expiresAtUnix),
      ...(cursor === undefined ? {} : { completedCursor: cursor }),
      ...(record.completedAtUnix === undefined ? {} : { completedAtUnix: Number(record.completedAtUnix) }),
    }
  }

  /** Of the record as this holder wrote it last. */
  get version(): VersionToken {
    return this.#version
  }

  /**
   * Says what the round published; when it ends stays as it is. false when somebody took the lease over, whose
   * record is left alone.
   */
  async complete(cursor: WatchCursor, wait: WaitOptions = {}): Promise<boolean> {
    const record: LeaseRecord = {
      ...this.#record,
      completedCursorHex: cursor.token.toHex(),
      completedAtUnix: BigInt(Math.max(0, Math.floor(this.#now() / 1000))),
    }
    const value = encodeLeaseRecord(record)
    const version = await settledWrite(
      this.#bucket.reader,
      this.#key,
      value,
      () => this.#writer.update(this.#key, value, this.#version, wait),
      wait,
    )
    if (version === undefined) return false
    this.#record = record
    this.#version = version
    return true
  }

  /** Lets the next one begin at once. false when somebody took the lease over, whose record is left alone. */
  async abandon(wait: WaitOptions = {}): Promise<boolean> {
    const version = await settledWrite(
      this.#bucket.reader,
      this.#key,
      '',
      () => this.#writer.deleteWithVersion(this.#key, this.#version, wait),
      wait,
    )
    if (version === undefined) return false
    this.#version = version
    this.#sightings?.gaveBack()
    return true
  }
}

function writerOf({ writer, name }: KvStore): KvWriter {
  if (writer === undefined) throw new KvError('Unsupported', `${name} cannot be written to`)
  return writer
}

function cursorOf(hex: string | undefined): WatchCursor | undefined {
  try {
    return hex === undefined ? undefined : WatchCursor.fromHex(hex)
  } catch {
    return undefined
  }
}
