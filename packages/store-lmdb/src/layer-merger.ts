import { Worker } from 'node:worker_threads'
import { SnapshotError } from '@slip/kv-core'
import type { MergeRequest } from './layer-merge.ts'
import type { MergeNews, MergeStart } from './merge-protocol.ts'
import { fromMessage } from './thread-protocol.ts'
import { threadOptions } from './thread-options.ts'

/** A merge of layers in a thread of its own, as the owner of the file sees it. */
export class LayerMerger {
  readonly #worker: Worker
  readonly #stop = new Int32Array(new SharedArrayBuffer(4))
  /** Settles when it is known which commit is merged. */
  readonly begun: Promise<void>
  /** Rejects with SnapshotError `Closed` when it was stopped. */
  readonly merged: Promise<void>

  constructor(request: MergeRequest) {
    const start: MergeStart = { request, stop: this.#stop }
    this.#worker = new Worker(new URL('./merge-thread.bundle.js', import.meta.url), {
      workerData: start,
      ...threadOptions(),
    })
    // The process may end while it works: what was not merged is merged another time.
    this.#worker.unref()
    let begin = (): void => undefined
    let end = (): void => undefined
    let fail: ((error: unknown) => void)[] = []
    this.begun = new Promise((resolve, reject) => {
      begin = resolve
      fail = [...fail, reject]
    })
    this.merged = new Promise((resolve, reject) => {
      end = resolve
      fail = [...fail, reject]
    })
    // Whoever waits for one of them is told; the other must not end the process.
    this.begun.catch(() => undefined)
    this.merged.catch(() => undefined)
    const failed = (error: unknown): void => {
      for (const reject of fail) reject(error)
    }
    this.#worker.on('message', (news: MergeNews) => {
      if (news.what === 'begun') begin()
      else if (news.what === 'merged') end()
      else failed(fromMessage(news.failure))
    })
    const gone = (cause?: unknown): void =>
      failed(new SnapshotError('Backend', `the thread that merges ${request.source} ended`, { cause }))
    this.#worker.on('error', gone)
    this.#worker.on('exit', () => gone())
  }

  /** Keeps the process alive until it is through. */
  hold(): void {
    this.#worker.ref()
  }

  /** Ends it soon, and resolves when nothing writes any more. */
  async end(): Promise<void> {
    Atomics.store(this.#stop, 0, 1)
    this.#worker.ref()
    await this.merged.catch(() => undefined)
    await this.#worker.terminate()
  }
}
