import {
  KvError,
  VersionToken,
  type KvHistory,
  type KvUpdate,
  type KvWatcher,
  type SourceDescription,
  type StoredMessage,
  type WatchBatch,
  type WatchOptions,
} from '@slip/kv-core'
import type { AttachShape, AttachState } from '@slip/model'

/** The bucket of a model's state, as a source that delivers nothing by itself. */
export class ReplayBucket implements KvWatcher {
  readonly #shape: AttachShape
  state: AttachState
  session: ReplaySession | undefined
  descriptions = 0

  constructor(shape: AttachShape, state: AttachState) {
    this.#shape = shape
    this.state = state
  }

  /** An update of a key, from the code of its message. */
  update(key: number, code: number): KvUpdate {
    const { messages } = this.#shape
    const common = {
      key: `k${key}`,
      version: VersionToken.fromRevision(BigInt(messages.revision(code))),
      writtenAtMs: code,
    }
    return messages.isLive(code)
      ? { operation: 'put', value: new TextEncoder().encode(String(code)), ...common }
      : { operation: 'delete', ...common }
  }

  async describe(): Promise<SourceDescription> {
    this.descriptions++
    const { state } = this
    return {
      kind: 'replay',
      name: 'bucket',
      incarnation: String(state.incarnation),
      firstRevision: BigInt(this.#shape.first(state)),
      lastRevision: BigInt(state.last),
      keyCount: BigInt(this.#messages().length),
      evictsCurrentValues: false,
      historyPerKey: 1,
    }
  }

  watch(_scope: unknown, { after, signal }: WatchOptions): AsyncIterable<WatchBatch> {
    const session = new ReplaySession(Number(after?.revision ?? 0n), signal)
    this.session = session
    signal.addEventListener('abort', () => this.#leave(session))
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => session.next(),
        return: async () => {
          this.#leave(session)
          return { done: true, value: undefined }
        },
      }),
    }
  }

  readonly history: KvHistory = {
    at: async (revision) => this.#messages().find((message) => message.revision === revision),
    newest: async (key) => this.#messages().find((message) => message.key === key),
    firstAfter: async (revision) => {
      const [first] = this.#messages()
        .filter((message) => message.revision > revision)
        .sort((a, b) => Number(a.revision - b.revision))
      return first
    },
  }

  #messages(): StoredMessage[] {
    const { messages, options } = this.#shape
    return Array.from({ length: options.keys }, (_, k) => ({ key: `k${k}`, code: this.state.bucket.at(k) }))
      .filter(({ code }) => code !== 0)
      .map(({ key, code }) => ({ key, revision: BigInt(messages.revision(code)), writtenAtMs: code }))
  }

  #leave(session: ReplaySession): void {
    if (this.session === session) this.session = undefined
  }
}

/** One watch: yields what it is given, one batch a pull. */
export class ReplaySession {
  readonly after: number
  readonly #signal: AbortSignal
  #give: ((result: IteratorResult<WatchBatch>) => void) | undefined
  #refuse: ((error: unknown) => void) | undefined

  constructor(after: number, signal: AbortSignal) {
    this.after = after
    this.#signal = signal
  }

  next(): Promise<IteratorResult<WatchBatch>> {
    return new Promise((resolve, reject) => {
      this.#give = resolve
      this.#refuse = reject
      this.#signal.addEventListener('abort', () => reject(this.#signal.reason as Error), { once: true })
    })
  }

  give(batch: WatchBatch): void {
    if (this.#give === undefined) throw new Error('the follower does not pull')
    this.#give({ done: false, value: batch })
    this.#give = undefined
  }

  fail(): void {
    if (this.#refuse === undefined) throw new Error('the follower does not pull')
    this.#refuse(new KvError('Unreachable', 'the connection is gone'))
  }
}
