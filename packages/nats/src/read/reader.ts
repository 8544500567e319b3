import type { KvEntry, KvReader, ListedKey, Listing, WaitOptions } from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import type { JetStreamApi } from '../jetstream-api.ts'
import { checkKey } from '../key.ts'
import { listing } from './listing.ts'
import { entryOf, entryOfUpdate, readAtLeader, readDirect, type ReadRules } from './point-read.ts'

export interface ReaderParts {
  readonly context: BucketContext
  readonly api: JetStreamApi
  readonly rules: ReadRules & { readonly direct: boolean }
  /** Aborts when the connection closes. */
  readonly closing: AbortSignal
}

/**
 * Reads of one bucket. `get` may be answered by a replica that is a moment behind the leader, and then
 * does not show a write that was just acknowledged; `entry` is the leader's word. KvError `InvalidKey`,
 * `BucketNotFound`, `Timeout`, `Unreachable`, `PermissionDenied`, `Closed`.
 */
export class NatsReader implements KvReader {
  readonly #parts: ReaderParts

  constructor(parts: ReaderParts) {
    this.#parts = parts
  }

  async get(key: string, options?: WaitOptions): Promise<KvEntry | undefined> {
    checkKey(key)
    const { context, api, rules, closing } = this.#parts
    closing.throwIfAborted()
    const message = rules.direct
      ? await readDirect(context, api, key, options)
      : await readAtLeader(context, key, options)
    const entry = message === undefined ? undefined : entryOf(context, rules, key, message)
    return entry?.value.length === 0 ? undefined : entry
  }

  async entry(key: string, options?: WaitOptions): Promise<KvEntry | undefined> {
    checkKey(key)
    const { context, rules, closing } = this.#parts
    closing.throwIfAborted()
    const message = await readAtLeader(context, key, options)
    return message === undefined ? undefined : entryOf(context, rules, key, message)
  }

  keys(prefix = '', options?: WaitOptions): Listing<ListedKey> {
    const item = ({ key, version }: ListedKey) => ({ key, version })
    return listing<ListedKey>(
      this.#parts.context,
      { prefix, headersOnly: true, item },
      this.#untilClosed(options),
    )
  }

  scan(prefix = '', options?: WaitOptions): Listing<KvEntry> {
    const plan = { prefix, headersOnly: false, item: entryOfUpdate }
    return listing<KvEntry>(this.#parts.context, plan, this.#untilClosed(options))
  }

  #untilClosed(options: WaitOptions = {}): WaitOptions {
    const { closing } = this.#parts
    const { signal } = options
    return { ...options, signal: signal === undefined ? closing : AbortSignal.any([signal, closing]) }
  }
}
