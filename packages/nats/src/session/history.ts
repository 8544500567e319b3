import {
  KvError,
  scopeCovers,
  type KvHistory,
  type StoredMessage,
  type WaitOptions,
  type WatchScope,
} from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import { isNoResponders, NO_MESSAGE_FOUND, refusalCode } from '../errors.ts'
import { scopeFilters } from './filters.ts'
import { storedMessage } from './stored-message.ts'
import { readStreamFacts } from './stream-probe.ts'

/** So many messages out of scope are passed by for one answer. */
const MAX_SKIPPED = 256
/** So many filters of a scope are asked for at a time. */
const WIDTH = 8
/** Each question that is refused is a violation in the server's log. */
const REFUSED_FOR_MS = 10 * 60_000
/** What stands in a reply for bytes that are not UTF-8, and can stand in a key too. */
const REPLACEMENT = '\uFFFD'

type MessageRequest =
  | { readonly seq: number; readonly next_by_subj?: string }
  | { readonly last_by_subj: string }

/**
 * Looks into a bucket's stream with `STREAM.MSG.GET`, which its leader answers: a direct get may be
 * answered by a replica that lags, and would make a history look like another one. KvError `PermissionDenied` and `Unsupported`
 * where the leader may not be asked, and for a scope that is too much work: one whose prefixes end within a
 * token, in a bucket with much else.
 */
export class NatsHistory implements KvHistory {
  readonly #context: BucketContext
  #refusal: { readonly error: KvError; readonly untilMs: number } | undefined

  constructor(context: BucketContext) {
    this.#context = context
  }

  async at(revision: bigint, options: WaitOptions = {}): Promise<StoredMessage | undefined> {
    const found = await this.#ask({ seq: Number(revision) }, options)
    if (found !== undefined && found.revision !== revision) throw contradiction(found, `at ${revision}`)
    return found
  }

  async newest(key: string, options: WaitOptions = {}): Promise<StoredMessage | undefined> {
    const found = await this.#ask({ last_by_subj: `${this.#context.subjectPrefix}${key}` }, options)
    if (found !== undefined && found.key !== key) throw contradiction(found, `as the newest of ${key}`)
    return found
  }

  async firstAfter(
    revision: bigint,
    scope: WatchScope,
    options: WaitOptions = {},
  ): Promise<StoredMessage | undefined> {
    const { subjectPrefix } = this.#context
    const { subjects, prefixes } = scopeFilters(subjectPrefix, scope)
    let from = revision
    if (subjects.length > 1) {
      // Most often the very next message answers for all filters.
      const next = await this.#next(`${subjectPrefix}>`, from, options)
      if (next === undefined) return undefined
      if (scopeCovers(prefixes, next.key) && (await this.#isDelivered(next, options))) return next
      from = next.revision
    }
    const giveUpAtMs = performance.now() + (options.timeoutMs ?? this.#context.timeoutMs) / 2
    const found: StoredMessage[] = []
    const isBeyond = (message: StoredMessage): boolean =>
      found.some((other) => other.revision <= message.revision)
    let skipped = 0
    const filters = subjects.values()
    const search = async (): Promise<void> => {
      for (const subject of filters) {
        for (let after = from; ;) {
          if (skipped > MAX_SKIPPED || performance.now() > giveUpAtMs) throw tooMuchWork(scope, revision)
          const message = await this.#next(subject, after, options)
          if (message === undefined || isBeyond(message)) break
          if (scopeCovers(prefixes, message.key) && (await this.#isDelivered(message, options))) {
            found.push(message)
            break
          }
          after = message.revision
          skipped++
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(WIDTH, subjects.length) }, search))
    return found.reduce<StoredMessage | undefined>(
      (first, each) => (first === undefined || each.revision < first.revision ? each : first),
      undefined,
    )
  }

  async #next(subject: string, after: bigint, options: WaitOptions): Promise<StoredMessage | undefined> {
    const found = await this.#ask({ seq: Number(after) + 1, next_by_subj: subject }, options)
    if (found !== undefined && found.revision <= after) throw contradiction(found, `after ${after}`)
    return found
  }

  /** A key that is not UTF-8 is no key: a watch passes it by. */
  async #isDelivered({ key, revision }: StoredMessage, options: WaitOptions): Promise<boolean> {
    if (!key.includes(REPLACEMENT)) return true
    const newest = await this.newest(key, options)
    if (newest === undefined || newest.revision === revision) return newest !== undefined
    throw new KvError('Unsupported', `whether revision ${revision} has a key cannot be told`)
  }

  async #ask(request: MessageRequest, options: WaitOptions): Promise<StoredMessage | undefined> {
    if (this.#refusal !== undefined && performance.now() < this.#refusal.untilMs) throw this.#refusal.error
    try {
      return storedMessage(await this.#read(request, options), this.#context.subjectPrefix)
    } catch (error) {
      if (refusalCode(error) === NO_MESSAGE_FOUND) return undefined
      if (KvError.is(error) && (error.code === 'PermissionDenied' || error.code === 'Unsupported'))
        this.#refusal = { error, untilMs: performance.now() + REFUSED_FOR_MS }
      throw error
    }
  }

  /** An account that imports parts of the API has nobody to answer the others. */
  async #read(request: MessageRequest, options: WaitOptions): Promise<unknown> {
    const subject = `STREAM.MSG.GET.${this.#context.stream}`
    try {
      return await this.#context.api(subject, request, options)
    } catch (error) {
      if (!isNoResponders(error)) throw error
    }
    await readStreamFacts(this.#context, options)
    try {
      return await this.#context.api(subject, request, options)
    } catch (cause) {
      if (!isNoResponders(cause)) throw cause
      throw new KvError('Unsupported', `nobody answers ${subject}`, { cause })
    }
  }
}

function contradiction({ revision }: StoredMessage, asked: string): KvError {
  return new KvError('Unreachable', `the server gives the message at ${revision} ${asked}`)
}

function tooMuchWork(scope: WatchScope, revision: bigint): KvError {
  return new KvError(
    'Unsupported',
    `what the bucket holds after ${revision} under ${JSON.stringify(scope).slice(0, 100)} takes too long to find`,
  )
}
