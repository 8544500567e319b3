import { KvError } from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import { apiErrorCode } from './api-error-code.ts'
import { lineageError, streamFacts, type StreamFacts } from './stream-facts.ts'

const CONSUMER_NOT_FOUND = 10_014
const ASK_TIMEOUT_MS = 1_000

/** Reads what the server says of the bucket's stream; KvError `BucketNotFound` and the request's own. */
export async function readStreamFacts(
  context: BucketContext,
  options: { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number | undefined } = {},
): Promise<StreamFacts> {
  return streamFacts(await context.api(`STREAM.INFO.${context.stream}`, undefined, options))
}

/**
 * Asks, while a session runs, whether its stream is still the same and its consumer still there.
 * Gives the error that ends the session; undefined when nothing is proven wrong. A server that does
 * not answer proves nothing here: silence is judged by the heartbeats.
 */
export class StreamProbe {
  readonly #context: BucketContext
  readonly #created: string
  readonly #consumer: string
  readonly #replicated: boolean
  #suspectedAt: number | undefined
  #mayAskForConsumer = true

  constructor(context: BucketContext, start: StreamFacts, consumer: string) {
    this.#context = context
    this.#created = start.created
    this.#replicated = start.replicas > 1
    this.#consumer = consumer
  }

  /**
   * The stream's last sequence; undefined when the server does not say. Throws what ends the session.
   * It waits as long as any request: under load an answer may come late each time, and nothing else waits for it.
   */
  async lastSequence(signal: AbortSignal): Promise<number | undefined> {
    let facts: StreamFacts
    try {
      facts = await readStreamFacts(this.#context, { signal })
    } catch (error) {
      if (KvError.is(error) && error.code === 'BucketNotFound') throw error
      return undefined
    }
    const wrong = lineageError(this.#context.bucket, facts, this.#created, 0)
    if (wrong !== undefined) throw wrong
    return facts.lastSequence
  }

  /** `reached` is a sequence the stream is known to have had. */
  async stream(reached: number): Promise<KvError | undefined> {
    let facts: StreamFacts
    try {
      facts = await readStreamFacts(this.#context, { timeoutMs: ASK_TIMEOUT_MS })
    } catch (error) {
      return KvError.is(error) && error.code === 'BucketNotFound' ? error : undefined
    }
    const wrong = lineageError(this.#context.bucket, facts, this.#created, reached)
    // A leader that was just elected may not have applied its log yet: it has to say so twice.
    if (wrong?.code === 'BucketRolledBack' && this.#replicated && this.#suspectedAt !== facts.lastSequence) {
      this.#suspectedAt = facts.lastSequence
      return undefined
    }
    return wrong
  }

  /** A push consumer that was deleted sends nothing; the stream may have gone with it. */
  async consumer(reached: number): Promise<KvError | undefined> {
    if (!this.#mayAskForConsumer) return await this.stream(reached)
    try {
      const subject = `CONSUMER.INFO.${this.#context.stream}.${this.#consumer}`
      await this.#context.api(subject, undefined, { timeoutMs: ASK_TIMEOUT_MS })
      return undefined
    } catch (error) {
      if (!KvError.is(error)) return undefined
      if (error.code === 'BucketNotFound') return error
      if (error.code === 'PermissionDenied') {
        this.#mayAskForConsumer = false
        return await this.stream(reached)
      }
      if (apiErrorCode(error) !== CONSUMER_NOT_FOUND) return undefined
      const why = await this.stream(reached)
      return why ?? new KvError('Unreachable', `the consumer ${this.#consumer} is gone`, { cause: error })
    }
  }
}
