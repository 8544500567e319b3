import { KvError, Slices, VersionToken, WatchCursor } from '@slip/kv-core'
import type { KvEntry, KvReader, ListedKey, Listing, WaitOptions } from '@slip/kv-core'
import type { Bucket } from './bucket.ts'
import { copyOf } from './copy.ts'
import { checkKey } from './key.ts'
import type { Message } from './message.ts'

/** Reads of one bucket. A listing is exact at the revision the bucket had when its iteration began. */
export class MemoryReader implements KvReader {
  readonly #open: () => Bucket

  constructor(open: () => Bucket) {
    this.#open = open
  }

  async get(key: string, options?: WaitOptions): Promise<KvEntry | undefined> {
    const entry = await this.entry(key, options)
    return entry?.value.length === 0 ? undefined : entry
  }

  async entry(key: string, options?: WaitOptions): Promise<KvEntry | undefined> {
    options?.signal?.throwIfAborted()
    checkKey(key)
    const head = this.#open().head(key)
    return head?.operation === 'put' ? entryOf(head) : undefined
  }

  keys(prefix = '', options?: WaitOptions): Listing<ListedKey> {
    return listing(this.#open, prefix, options, ({ key, revision }) => ({
      key,
      version: VersionToken.fromRevision(BigInt(revision)),
    }))
  }

  scan(prefix = '', options?: WaitOptions): Listing<KvEntry> {
    return listing(this.#open, prefix, options, entryOf)
  }
}

/** A message that is a put, as its readers get it: the value is a copy. */
export function entryOf(message: Message): KvEntry {
  return {
    key: message.key,
    value: copyOf(message.value),
    version: VersionToken.fromRevision(BigInt(message.revision)),
    ...(message.expiresAtMs === undefined ? {} : { expiresAtMs: message.expiresAtMs }),
  }
}

function listing<T>(
  open: () => Bucket,
  prefix: string,
  options: WaitOptions | undefined,
  convert: (message: Message) => T,
): Listing<T> {
  let resolveValidAt!: (cursor: WatchCursor) => void
  let rejectValidAt!: (error: unknown) => void
  const validAt = new Promise<WatchCursor>((resolve, reject) => {
    resolveValidAt = resolve
    rejectValidAt = reject
  })
  // Nobody has to look at validAt: without this a failed listing would end the process.
  validAt.catch(() => undefined)
  const notFinished = (): KvError => new KvError('Closed', 'the listing was left before its end')
  let started = false

  async function* iterate(): AsyncGenerator<T, void, undefined> {
    if (started) throw new TypeError('a listing can be iterated once')
    started = true
    try {
      options?.signal?.throwIfAborted()
      const bucket = open()
      const cut = bucket.openCut()
      try {
        const slices = new Slices('memory.listing')
        for (let message = cut.next(); message !== undefined; message = cut.next()) {
          if (slices.due()) await slices.pause()
          options?.signal?.throwIfAborted()
          if (message.operation === 'put' && message.value.length > 0 && message.key.startsWith(prefix))
            yield convert(message)
        }
        resolveValidAt(WatchCursor.fromRevision(BigInt(cut.revision)))
      } finally {
        bucket.closeCut(cut)
      }
    } catch (error) {
      rejectValidAt(error)
      throw error
    } finally {
      rejectValidAt(notFinished())
    }
  }

  return { validAt, [Symbol.asyncIterator]: iterate }
}
