import { type KvWatcher, WatchCursor, type WatchBatch } from '@slip/kv-core'
import type { Answer, Question } from './messages.ts'
import { encodeBatch, encodeError } from './wire-batch.ts'

interface Session {
  readonly batches: AsyncIterator<WatchBatch>
  readonly stop: AbortController
}

/** Answers for a bucket of this process what a follower in another one asks. One for each follower process. */
export class BucketHost {
  readonly #watcher: KvWatcher
  readonly #sessions = new Map<number, Session>()

  constructor(watcher: KvWatcher) {
    this.#watcher = watcher
  }

  async answer(question: Question): Promise<Answer> {
    try {
      return await this.#act(question)
    } catch (error) {
      return { error: encodeError(error) }
    }
  }

  /** Ends every session: the process that asked is gone. */
  close(): void {
    for (const watch of this.#sessions.keys()) this.#end(watch)
  }

  async #act(question: Question): Promise<Answer> {
    if (question.call === 'describe') return { description: await this.#watcher.describe(question.scope) }
    if (question.call === 'next') {
      const next = await this.#sessions.get(question.watch)?.batches.next()
      return next === undefined || next.done === true ? { done: true } : { batch: encodeBatch(next.value) }
    }
    if (question.call === 'watch') this.#open(question)
    else this.#end(question.watch)
    return { done: true }
  }

  #open(question: Extract<Question, { call: 'watch' }>): void {
    const stop = new AbortController()
    const after = question.after === undefined ? undefined : WatchCursor.fromBytes(question.after)
    const batches = this.#watcher.watch(question.scope, {
      after,
      emptyValues: question.emptyValues,
      signal: stop.signal,
    })
    this.#sessions.set(question.watch, { batches: batches[Symbol.asyncIterator](), stop })
  }

  #end(watch: number): void {
    this.#sessions.get(watch)?.stop.abort()
    this.#sessions.delete(watch)
  }
}
