import { KvError, SnapshotError, type ObjectStore, type WaitOptions } from '@slip/kv-core'
import { refused } from '../artifact-error.ts'
import { backOff, isTransient } from './transient.ts'

const MOST_ATTEMPTS = 6
const DEFAULT_STALL_MS = 30_000

export interface RemoteStreamOptions extends WaitOptions {
  /** Behind so many bytes it ends. */
  readonly most?: number
  /** false for who compares the bytes with a digest. @default true */
  readonly verify?: boolean
}

/** The object went away while it was read: whoever came by a pointer looks where that points now. */
export class ObjectGone extends SnapshotError {
  constructor(name: string) {
    super('ArtifactInvalid', `its payload ${name} was deleted while it was read`)
  }
}

/**
 * The bytes of an object from the first to the last, over a link that may break: what is lost is asked for again
 * from where it ended. Gives up after six failures without a byte in between. Memory is one piece.
 */
export class RemoteStream {
  readonly #store: ObjectStore
  readonly #name: string
  readonly #options: RemoteStreamOptions
  readonly #most: number
  #position = 0
  #size = -1
  #etag = ''
  #body: AsyncIterator<Uint8Array> | undefined
  #held: Uint8Array = new Uint8Array()
  /** How many bytes of the body were given before it was opened. */
  #passing = 0
  #openings = 0
  /** Bytes that came over the link. */
  received = 0

  private constructor(store: ObjectStore, name: string, options: RemoteStreamOptions) {
    this.#store = store
    this.#name = name
    this.#options = options
    this.#most = options.most ?? Infinity
  }

  /** undefined when there is no such object. `timeoutMs` is how long no byte may come. @default 30_000 */
  static async open(
    store: ObjectStore,
    name: string,
    options: RemoteStreamOptions = {},
  ): Promise<RemoteStream | undefined> {
    const stream = new RemoteStream(store, name, options)
    return (await stream.#retried(() => stream.#open())) ? stream : undefined
  }

  /** Of the whole object. */
  get size(): number {
    return this.#size
  }

  /** Of the object that is read. */
  get etag(): string {
    return this.#etag
  }

  /** At least one byte and at most `most`; undefined at the end. Valid until the next call. */
  async piece(most: number): Promise<Uint8Array | undefined> {
    if (this.#held.length === 0) {
      const next = await this.#retried(() => this.#next())
      if (next === undefined) return undefined
      this.#held = next
    }
    const given = this.#held.subarray(0, most)
    this.#held = this.#held.subarray(given.length)
    this.#position += given.length
    return given
  }

  /** The next `length` bytes; fewer at the end. */
  async exactly(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    let filled = 0
    while (filled < length) {
      const piece = await this.piece(length - filled)
      if (piece === undefined) break
      bytes.set(piece, filled)
      filled += piece.length
    }
    return bytes.subarray(0, filled)
  }

  /** Goes past `length` bytes; where the store has ranges, without asking for them. */
  async skip(length: number): Promise<void> {
    if (length <= this.#held.length || !this.#store.capabilities.rangeReads) {
      for (let left = length; left > 0;) {
        const piece = await this.piece(left)
        if (piece === undefined) return
        left -= piece.length
      }
      return
    }
    this.close()
    this.#position += length
  }

  /** Lets go of the link, also of one that is not there yet; a body that hangs is not waited for. */
  close(): void {
    const body = this.#body
    this.#openings++
    this.#body = undefined
    this.#held = new Uint8Array()
    void body?.return?.().catch(() => undefined)
  }

  get #end(): number {
    return Math.min(this.#size, this.#most)
  }

  async #next(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#position >= this.#end) return undefined
      if (this.#body === undefined && !(await this.#open())) throw new ObjectGone(this.#name)
      const body = this.#body
      const { done, value } = await body!.next()
      if (this.#body !== body) throw new KvError('Timeout', `${this.#name} answered too late`)
      if (done === true) throw new KvError('Unreachable', `${this.#name} ended before its last byte`)
      this.received += value.length
      const left = value.subarray(
        Math.min(this.#passing, value.length),
        this.#passing + this.#end - this.#position,
      )
      this.#passing -= Math.min(this.#passing, value.length)
      if (left.length > 0) return left
    }
  }

  async #open(): Promise<boolean> {
    const { signal, timeoutMs, verify } = this.#options
    const start = this.#position
    const ranged = (start > 0 || this.#most < Infinity) && this.#store.capabilities.rangeReads
    const opening = ++this.#openings
    const found = await this.#store.get(this.#name, {
      signal,
      timeoutMs,
      verify,
      ...(ranged ? { range: { start, length: (this.#size < 0 ? this.#most : this.#end) - start } } : {}),
    })
    if (found === undefined) return false
    const body = found.body[Symbol.asyncIterator]()
    const isOther = this.#size >= 0 && (found.etag !== this.#etag || found.size !== this.#size)
    if (isOther || opening !== this.#openings) {
      void body.return?.().catch(() => undefined)
      if (isOther) throw refused(`its payload ${this.#name} was replaced while it was read`)
      throw new KvError('Timeout', `${this.#name} answered too late`)
    }
    this.#body = body
    this.#size = found.size
    this.#etag = found.etag
    this.#passing = ranged ? 0 : start
    return true
  }

  async #retried<R>(work: () => Promise<R>): Promise<R> {
    const { signal } = this.#options
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted()
      try {
        return await this.#inTime(work())
      } catch (error) {
        this.close()
        signal?.throwIfAborted()
        if (!isTransient(error) || attempt + 1 >= MOST_ATTEMPTS) throw error
        await backOff(attempt, signal)
      }
    }
  }

  async #inTime<R>(work: Promise<R>): Promise<R> {
    const { timeoutMs = DEFAULT_STALL_MS, signal } = this.#options
    work.catch(() => undefined)
    return new Promise<R>((resolve, reject) => {
      const onAbort = (): void => reject(signal?.reason as Error)
      const timer = setTimeout(
        () => reject(new KvError('Timeout', `no byte of ${this.#name} came for ${timeoutMs} ms`)),
        timeoutMs,
      )
      signal?.addEventListener('abort', onAbort, { once: true })
      work.then(resolve, reject).finally(() => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      })
    })
  }
}
