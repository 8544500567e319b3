import { createHash, randomUUID } from 'node:crypto'
import {
  KvError,
  SnapshotError,
  type ListedObject,
  type ObjectGetOptions,
  type ObjectPutOptions,
  type ObjectStore,
  type StoredObject,
  type WaitOptions,
} from '@slip/kv-core'
import {
  asking,
  asKvError,
  isConflict,
  isViolation,
  NatsObjectBucket,
  type NatsObjectInfo,
  type NatsObjectsOptions,
} from './nats-object-bucket.ts'
import { CHUNK_BYTES, sendChunks } from './nats-chunks.ts'
import { entriesOf } from './nats-entries.ts'
import { messagesOf } from './nats-messages.ts'
import { BodyFailed, bodyOf, bodyOfBytes, orAborted } from './object-body.ts'
import { mustBeNamePrefix, mustBeObjectName } from './object-name.ts'

const DEFAULT_TIMEOUT_MS = 10_000
const MOST_ATTEMPTS = 50
const ORPHAN_MS = 3_600_000

/**
 * Objects in a NATS Object Store, which any client of it reads: chunks, and an entry by which they become an
 * object. Conditions are those of JetStream on the revision of the entry, which is the etag. The bucket is
 * made when something is put. `connection` is a connection of `@nats-io`, which stays open; the package
 * `@nats-io/jetstream` has to be installed.
 *
 * A put that dies leaves chunks that nobody sees; the first put of a later process removes those that are older
 * than an hour. KvError.
 */
export function natsObjects(
  connection: object,
  objectBucket: string,
  options: NatsObjectsOptions = {},
): ObjectStore {
  if (!/^[\w-]+$/.test(objectBucket))
    throw new TypeError(`${JSON.stringify(objectBucket)} is no name of an object bucket`)
  return new NatsObjects(connection, objectBucket, options)
}

class NatsObjects implements ObjectStore {
  readonly capabilities = { createOnly: true, compareAndSwap: true, rangeReads: true } as const
  readonly #connection: object
  readonly #name: string
  readonly #options: NatsObjectsOptions
  #opening: Promise<NatsObjectBucket> | undefined
  #ready: Promise<void> | undefined

  constructor(connection: object, name: string, options: NatsObjectsOptions) {
    this.#connection = connection
    this.#name = name
    this.#options = options
  }

  async get(name: string, options: ObjectGetOptions = {}): Promise<StoredObject | undefined> {
    const { signal, range } = options
    signal?.throwIfAborted()
    mustBeObjectName(name)
    const what = `reading ${name}`
    for (let missing: number | undefined; ;) {
      const found = await this.#asking(what, options, async (bucket) => bucket.meta(name))
      if (found === undefined || found.info.deleted === true) return undefined
      const { revision, info } = found
      if (revision === missing) throw new KvError('Unreachable', `${what}: 0 of 1 chunks are there`)
      const start = Math.min(range?.start ?? 0, info.size)
      const end = Math.min(start + (range?.length ?? info.size), info.size)
      const stored = { size: info.size, etag: String(revision) }
      if (start === end) return { ...stored, body: bodyOfBytes(new Uint8Array(), signal) }
      if (info.chunks !== 1 || info.size > CHUNK_BYTES)
        return { ...stored, body: this.#body(await this.#bucket(), info, start, end, options) }
      const chunk = await this.#asking(what, options, async (bucket) =>
        bucket.newest(bucket.chunkSubject(info.nuid)),
      )
      if (chunk !== undefined) {
        mustBe(info, createHash('sha256').update(chunk.data).digest('base64'))
        return { ...stored, body: bodyOfBytes(chunk.data.subarray(start, end), signal) }
      }
      // Somebody replaced it between the entry and the chunk: then there is another entry.
      missing = revision
    }
  }

  async put(
    name: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: ObjectPutOptions = {},
  ): Promise<{ readonly etag: string } | 'conflict'> {
    const { signal, condition } = options
    signal?.throwIfAborted()
    mustBeObjectName(name)
    const what = `writing ${name}`
    const bucket = await this.#asking(what, options, async (each) => {
      await (this.#ready ??= prepare(each))
      return each
    }).catch((error: unknown) => {
      this.#ready = undefined
      throw error
    })
    const holds = (found: Awaited<ReturnType<NatsObjectBucket['meta']>>): boolean => {
      const isThere = found !== undefined && found.info.deleted !== true
      if (condition === undefined) return true
      return condition === 'absent' ? !isThere : isThere && String(found.revision) === condition.etag
    }
    const look = (): ReturnType<NatsObjectBucket['meta']> =>
      this.#asking(what, options, async () => bucket.meta(name))
    // What loses anyway need not be sent.
    if (!holds(await look())) return 'conflict'
    const nuid = randomUUID().replaceAll('-', '')
    let isOpen = false
    try {
      const { timeoutMs = DEFAULT_TIMEOUT_MS } = options
      const info = await sendChunks(bucket, { name, nuid }, body, { signal, timeoutMs })
      for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
        signal?.throwIfAborted()
        const before = await look()
        if (before?.info.nuid === nuid) return { etag: String(before.revision) }
        if (!holds(before)) {
          isOpen = false
          await bucket.purge(bucket.chunkSubject(nuid))
          return 'conflict'
        }
        const revision = await bucket.client
          .publish(bucket.metaSubject(name), JSON.stringify(info), {
            expect: { lastSubjectSequence: before?.revision ?? 0 },
            timeout: timeoutMs,
          })
          .then(({ seq }) => seq)
          .catch((error: unknown) => {
            if (isConflict(error)) return undefined
            const known = asKvError(error, what)
            // It may still arrive: then the next attempt is the conflict.
            isOpen = true
            if (KvError.is(known) && ['Timeout', 'Unreachable'].includes(known.code)) return undefined
            throw known
          })
        if (revision === undefined) continue
        isOpen = false
        await this.#forget(bucket, name, revision, before?.info)
        return { etag: String(revision) }
      }
      throw new KvError(isOpen ? 'OutcomeUnknown' : 'Unreachable', `${what}: others write it all the time`)
    } catch (error) {
      // What the entry may still name stays.
      if (!isOpen) await bucket.purge(bucket.chunkSubject(nuid)).catch(() => undefined)
      throw error instanceof BodyFailed ? error.error : asKvError(error, what)
    }
  }

  async *list(prefix: string, options: WaitOptions = {}): AsyncGenerator<ListedObject, void, undefined> {
    options.signal?.throwIfAborted()
    mustBeNamePrefix(prefix)
    const bucket = await this.#bucket()
    for await (const { info, timeMs } of entriesOf(bucket, options))
      if (info.deleted !== true && info.name.startsWith(prefix))
        yield { name: info.name, size: info.size, modifiedMs: timeMs }
  }

  async delete(name: string, options: WaitOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    mustBeObjectName(name)
    const what = `deleting ${name}`
    const bucket = await this.#bucket()
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const before = await this.#asking(what, options, async () => bucket.meta(name))
      if (before === undefined || before.info.deleted === true) return
      const { nuid } = before.info
      const gone = { name, bucket: this.#name, nuid, size: 0, chunks: 0, digest: '', deleted: true }
      try {
        const { seq } = await bucket.client.publish(bucket.metaSubject(name), JSON.stringify(gone), {
          expect: { lastSubjectSequence: before.revision },
        })
        await this.#forget(bucket, name, seq + 1, before.info, (error) => {
          // Whoever deletes wants the room: what may not be removed would be seen by nobody.
          if (isViolation(error)) throw error
        })
        return
      } catch (error) {
        if (!isConflict(error)) throw asKvError(error, what)
      }
    }
    throw new KvError('Unreachable', `${what}: others write it all the time`)
  }

  #bucket(): Promise<NatsObjectBucket> {
    const opening = (this.#opening ??= NatsObjectBucket.open(this.#connection, this.#name, this.#options))
    opening.catch(() => (this.#opening = undefined))
    return opening
  }

  async #asking<R>(
    what: string,
    { signal }: WaitOptions,
    work: (bucket: NatsObjectBucket) => Promise<R>,
  ): Promise<R> {
    return asking(what, () => orAborted(this.#bucket().then(work), signal))
  }

  /** Removes what an entry replaced. What stays for a failure is invisible. */
  async #forget(
    bucket: NatsObjectBucket,
    name: string,
    revision: number,
    before: NatsObjectInfo | undefined,
    onFailed: (error: unknown) => void = () => undefined,
  ): Promise<void> {
    // A purge below the first revision of a stream would be one of all.
    if (before === undefined) return
    await bucket.purge(bucket.metaSubject(name), revision).catch(onFailed)
    if (before.chunks > 0) await bucket.purge(bucket.chunkSubject(before.nuid)).catch(onFailed)
  }

  #body(
    bucket: NatsObjectBucket,
    info: NatsObjectInfo,
    start: number,
    end: number,
    { signal, timeoutMs, verify = true }: ObjectGetOptions,
  ): AsyncIterable<Uint8Array> {
    const each = info.options?.max_chunk_size
    const firstSeq = info.metadata?.slip_first_seq
    const skipped = firstSeq === undefined || each === undefined ? 0 : Math.floor(start / each)
    let position = skipped * (each ?? 0)
    const hash = verify && start === 0 && end === info.size ? createHash('sha256') : undefined
    const messages = messagesOf(bucket, bucket.chunkSubject(info.nuid), {
      signal,
      timeoutMs,
      ...(firstSeq === undefined ? {} : { from: Number(firstSeq) + skipped }),
      expected: info.chunks - skipped,
    })
    const next = async (): Promise<Uint8Array | undefined> => {
      for (;;) {
        signal?.throwIfAborted()
        if (position >= end) {
          if (hash !== undefined) mustBe(info, hash.digest('base64'))
          return undefined
        }
        const { done, value } = await messages.next()
        if (done === true) throw new KvError('Unreachable', `${info.name} ended before its last byte`)
        hash?.update(value.data)
        const [from, to] = [Math.max(0, start - position), Math.min(value.data.length, end - position)]
        position += value.data.length
        if (to > from) return value.data.subarray(from, to)
      }
    }
    return bodyOf(next, async () => {
      await messages.return()
    })
  }
}

function mustBe(info: NatsObjectInfo, base64: string): void {
  const digest = `SHA-256=${base64.replaceAll('+', '-').replaceAll('/', '_')}`
  if (info.digest.replaceAll('=', '') !== digest.replaceAll('=', ''))
    throw new SnapshotError('Corrupted', `${info.name} is not what its digest says`)
}

/** Makes the bucket, and removes the chunks that puts which died long ago left. */
async function prepare(bucket: NatsObjectBucket): Promise<void> {
  await bucket.create()
  const info = await bucket.manager.streams.info(bucket.stream, {
    subjects_filter: bucket.chunkSubject('>'),
  })
  const { state } = info
  // By the server's clock: by one that is ahead, what somebody is putting would be old.
  const nowMs = Date.parse((info as { readonly ts?: string }).ts ?? state.last_ts)
  const left = new Set(Object.keys(state.subjects ?? {}))
  if (left.size === 0) return
  for await (const { info: entry } of entriesOf(bucket)) left.delete(bucket.chunkSubject(entry.nuid))
  for (const subject of left) {
    const writtenAt = (await bucket.newest(subject))?.time.getTime()
    if (writtenAt !== undefined && nowMs - writtenAt > ORPHAN_MS) await bucket.purge(subject)
  }
}
