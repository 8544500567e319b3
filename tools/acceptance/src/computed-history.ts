import { VersionToken, type KvUpdate } from '@slip/kv-core'

/** Primes, so that keys come in an order that is not their own, and are put and deleted in turns. */
const STRIDE = 1_000_003
const DELETED_EVERY = 7
const BATCH = 64

/**
 * A history in which what each key is at each revision can be computed, so that any reader can check any
 * read. Revision `r`, from 1, is one batch of 64 updates.
 */
export class ComputedHistory {
  readonly keys: number
  readonly #inverse: number

  /** `keys`: how many; no multiple of seven. */
  constructor(keys: number) {
    this.keys = keys
    let inverse = 1
    while ((inverse * STRIDE) % keys !== 1) inverse++
    this.#inverse = inverse
  }

  /** How many updates a batch has. */
  get batchSize(): number {
    return BATCH
  }

  /** The revision at which every key has been written. */
  get whole(): number {
    return Math.ceil(this.keys / BATCH)
  }

  key(index: number): string {
    return `key.${String(index).padStart(8, '0')}`
  }

  batch(revision: number): readonly KvUpdate[] {
    const version = VersionToken.fromRevision(BigInt(revision))
    return Array.from({ length: BATCH }, (_, i): KvUpdate => {
      const update = (revision - 1) * BATCH + i
      const key = this.key((update * STRIDE) % this.keys)
      const value = valueOf(update)
      return value === undefined
        ? { operation: 'delete', key, version }
        : { operation: 'put', key, value, version }
    })
  }

  /** What a key is when everything through `revision` was applied; undefined when it is not there. */
  valueAt(index: number, revision: number): Uint8Array | undefined {
    const first = (index * this.#inverse) % this.keys
    const updates = revision * BATCH
    if (first >= updates) return undefined
    return valueOf(first + Math.floor((updates - 1 - first) / this.keys) * this.keys)
  }
}

function valueOf(update: number): Uint8Array | undefined {
  if (update % DELETED_EVERY === 0) return undefined
  const text = `${update}:`
  return Buffer.from(text.padEnd(100 + (update % 200), String.fromCharCode(97 + (update % 26))))
}
