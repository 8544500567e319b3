import { EventEmitter } from 'node:events'
import { KvError, VersionToken, type RemovalReason } from '@slip/kv-core'

/** One revision of one key, as written. */
export interface Message {
  readonly revision: bigint
  readonly key: string
  readonly operation: 'put' | 'delete' | 'purge'
  readonly value: Uint8Array
  readonly reason?: RemovalReason
  readonly writtenAtMs: number
}

const NONE = new Uint8Array(0)

/** An in-memory bucket that keeps the newest revision of each key. */
export class ReferenceBucket {
  readonly incarnation: string = crypto.randomUUID()
  readonly #newest = new Map<string, Message>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #changes = new EventEmitter().setMaxListeners(0)
  #last = 0n

  get lastRevision(): bigint {
    return this.#last
  }

  /** In revision order; removals included. */
  newest(): Message[] {
    return [...this.#newest.values()]
  }

  get(key: string): Message | undefined {
    return this.#newest.get(key)
  }

  write(
    operation: Message['operation'],
    key: string,
    value: Uint8Array | string = NONE,
    reason?: RemovalReason,
  ): VersionToken {
    checkKey(key)
    clearTimeout(this.#timers.get(key))
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : Uint8Array.from(value)
    const revision = ++this.#last
    this.#newest.delete(key)
    this.#newest.set(key, {
      revision,
      key,
      operation,
      value: bytes,
      writtenAtMs: Date.now(),
      ...(reason === undefined ? {} : { reason }),
    })
    this.#changes.emit('change')
    return VersionToken.fromRevision(revision)
  }

  writeFor(ttlMs: number, key: string, value: Uint8Array | string): VersionToken {
    const version = this.write('put', key, value)
    this.#timers.set(
      key,
      setTimeout(() => this.write('delete', key, NONE, 'expired'), ttlMs),
    )
    return version
  }

  /** Resolves at the next write, after `ms`, or when `signal` aborts. */
  async changed(ms: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#changes.off('change', done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#changes.once('change', done)
      signal.addEventListener('abort', done)
    })
  }

  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
  }
}

function checkKey(key: string): void {
  if (!/^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$/.test(key))
    throw new KvError('InvalidKey', `${JSON.stringify(key)} is not a key`)
}
