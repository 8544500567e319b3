import { Worker } from 'node:worker_threads'
import { SnapshotError } from '@slip/kv-core'
import { Turns } from '@slip/kv-core/store-parts'
import { threadOptions } from './thread-options.ts'
import { fromMessage, type WriterReply, type WriterRequest, type WriterStart } from './thread-protocol.ts'

/** The thread that writes one file, as its owner sees it. It does one request after the other. */
export class WriterHandle {
  readonly #worker: Worker
  readonly #file: string
  readonly #turns: Turns = new Turns()
  #waiting: { resolve: () => void; reject: (error: unknown) => void } | undefined
  #spare: ArrayBuffer | undefined
  #ended: SnapshotError | undefined
  #cleared = 0
  #commit = 0n

  private constructor(start: WriterStart) {
    this.#file = start.file
    this.#worker = new Worker(new URL('./writer-thread.bundle.js', import.meta.url), {
      workerData: start,
      ...threadOptions(),
    })
    this.#worker.on('message', (reply: WriterReply) => this.#settle(reply))
    this.#worker.on('error', (cause) => this.#end('failed', cause))
    this.#worker.on('exit', () => this.#end('ended'))
  }

  /** Checks and opens the file in its own thread. Rejects as the check does, and leaves no thread. */
  static async start(start: WriterStart): Promise<WriterHandle> {
    const handle = new WriterHandle(start)
    try {
      await handle.#answered()
      return handle
    } catch (error) {
      await handle.#worker.terminate()
      throw error
    }
  }

  /** How many slots of readers that died it has given back. */
  get cleared(): number {
    return this.#cleared
  }

  /** The count of its newest commit. */
  get commit(): bigint {
    return this.#commit
  }

  /** The memory of the batch that was applied last, once. */
  takeSpare(): ArrayBuffer | undefined {
    const spare = this.#spare
    this.#spare = undefined
    return spare
  }

  async ask(request: WriterRequest): Promise<void> {
    await this.#turns.take(async () => {
      const answered = this.#answered()
      const moved = request.what === 'apply' ? [request.steps.buffer] : []
      this.#worker.postMessage(request, moved)
      await answered
    })
  }

  /** Closes the file; the thread ends. Idempotent. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return
    try {
      await this.ask({ what: 'close' })
    } finally {
      await this.#worker.terminate()
    }
  }

  async #answered(): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended
    // The process may end while nothing is asked.
    this.#worker.ref()
    try {
      await new Promise<void>((resolve, reject) => {
        this.#waiting = { resolve, reject }
      })
    } finally {
      this.#waiting = undefined
      this.#worker.unref()
    }
  }

  #settle({ failure, commit = this.#commit, cleared = 0, spare }: WriterReply): void {
    this.#commit = commit
    this.#cleared += cleared
    if (spare !== undefined) this.#spare = spare
    if (failure === undefined) this.#waiting?.resolve()
    else this.#waiting?.reject(fromMessage(failure))
  }

  #end(how: string, cause?: unknown): void {
    this.#ended ??= new SnapshotError('Backend', `the thread that writes ${this.#file} ${how}`, {
      path: this.#file,
      ...(cause === undefined ? {} : { cause }),
    })
    this.#waiting?.reject(this.#ended)
  }
}
