import { type KvHistory, scopeCovers, scopePrefixes, Slices } from '@slip/kv-core'
import type { StoredMessage, WaitOptions, WatchScope } from '@slip/kv-core'
import type { Bucket } from './bucket.ts'
import type { Message } from './message.ts'

/** Looks into the messages of one bucket. */
export class MemoryHistory implements KvHistory {
  readonly #open: () => Bucket

  constructor(open: () => Bucket) {
    this.#open = open
  }

  async at(revision: bigint, options?: WaitOptions): Promise<StoredMessage | undefined> {
    options?.signal?.throwIfAborted()
    return storedMessage(this.#open().log.at(Number(revision)))
  }

  async newest(key: string, options?: WaitOptions): Promise<StoredMessage | undefined> {
    options?.signal?.throwIfAborted()
    return storedMessage(this.#open().head(key))
  }

  async firstAfter(
    revision: bigint,
    scope: WatchScope,
    options?: WaitOptions,
  ): Promise<StoredMessage | undefined> {
    options?.signal?.throwIfAborted()
    const prefixes = scopePrefixes(scope)
    const { log } = this.#open()
    const slices = new Slices('memory.history')
    let message = log.after(Number(revision))
    while (message !== undefined && !scopeCovers(prefixes, message.key)) {
      if (slices.due()) {
        await slices.pause()
        options?.signal?.throwIfAborted()
      }
      message = log.after(message.revision)
    }
    return storedMessage(message)
  }
}

function storedMessage(message: Message | undefined): StoredMessage | undefined {
  if (message === undefined) return undefined
  return { key: message.key, revision: BigInt(message.revision), writtenAtMs: message.timeMs }
}
