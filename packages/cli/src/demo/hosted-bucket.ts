import {
  KvError,
  type KvWatcher,
  type SourceDescription,
  type SourceOpener,
  type WaitOptions,
  type WatchBatch,
  type WatchOptions,
  type WatchScope,
} from '@slip/kv-core'
import type { Answer, Question } from './messages.ts'
import { decodeBatch, decodeError } from './wire-batch.ts'

/** A source whose bucket lives in the process that answers `ask`. */
export function hostedBucket(name: string, ask: (question: Question) => Promise<Answer>): SourceOpener {
  return async () => ({ name, watcher: new HostedWatcher(ask) })
}

class HostedWatcher implements KvWatcher {
  readonly #ask: (question: Question) => Promise<Answer>
  #watches = 0

  constructor(ask: (question: Question) => Promise<Answer>) {
    this.#ask = ask
  }

  async describe(scope: WatchScope, options?: WaitOptions): Promise<SourceDescription> {
    options?.signal?.throwIfAborted()
    const answer = await this.#asked({ call: 'describe', scope })
    if ('description' in answer) return answer.description
    throw unexpected()
  }

  async *watch(
    scope: WatchScope,
    { after, emptyValues, signal }: WatchOptions,
  ): AsyncGenerator<WatchBatch, void, undefined> {
    signal.throwIfAborted()
    const watch = ++this.#watches
    const end = (): void => void this.#ask({ call: 'end', watch })
    signal.addEventListener('abort', end)
    try {
      await this.#asked({ call: 'watch', watch, scope, after: after?.toBytes(), emptyValues })
      for (;;) {
        const answer = await this.#ask({ call: 'next', watch })
        signal.throwIfAborted()
        if ('error' in answer) throw decodeError(answer.error)
        if (!('batch' in answer)) throw unexpected()
        yield decodeBatch(answer.batch)
      }
    } finally {
      signal.removeEventListener('abort', end)
      end()
    }
  }

  async #asked(question: Question): Promise<Answer> {
    const answer = await this.#ask(question)
    if ('error' in answer) throw decodeError(answer.error)
    return answer
  }
}

function unexpected(): KvError {
  return new KvError('Unreachable', 'the process with the bucket gave no answer')
}
