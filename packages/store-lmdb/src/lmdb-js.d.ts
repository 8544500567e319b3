// What the store uses of lmdb's own JavaScript, which bundle.mjs puts beside the compiled sources.

/** A key as the store's own encoder takes and gives it. */
export type LmdbKey = string | Uint8Array

export interface ReadTransaction {
  done(): void
}

export interface ReadOptions {
  readonly transaction: ReadTransaction
}

export interface LmdbRange extends Partial<ReadOptions> {
  readonly exclusiveStart?: boolean
  readonly inclusiveEnd?: boolean
  readonly start: LmdbKey | undefined
  readonly end: LmdbKey | undefined
  readonly reverse: boolean
  readonly values: boolean
}

/** Gives keys, or keys with values that are valid until the next read. */
export interface LmdbCursor {
  next(): IteratorResult<LmdbKey | { readonly key: LmdbKey; readonly value: Uint8Array }, undefined>
  return(): unknown
}

export interface LmdbDatabase {
  /** How many bytes of what the last read gave are the value. */
  readonly lastSize: number
  /** Valid until the next read of this thread, of any database. */
  getBinaryFast(key: LmdbKey, options?: Partial<ReadOptions>): Uint8Array | undefined
  getRange(range: LmdbRange): { iterate(): LmdbCursor }
  prefetch(keys: readonly LmdbKey[]): Promise<void>
  putSync(key: LmdbKey, value: Uint8Array, options?: { readonly append: true }): boolean
  removeSync(key: LmdbKey): boolean
  /** Removes every record; inside a transaction it is part of that. */
  clearSync(): void
}

export interface LmdbRoot extends LmdbDatabase {
  readonly env: {
    readonly address: number
    info(): {
      readonly lastPageNumber: number
      /** Of the newest commit. */
      readonly lastTxnId: number
      readonly mapSize: number
      readonly maxReaders: number
    }
    stat(): { readonly pageSize: number }
  }
  openDB(name: string, options: object): LmdbDatabase | undefined
  /** Commits, but for work that gives `ABORT` or throws. */
  transactionSync<T>(work: () => T): T
  /** Of the transaction that is being written. */
  getWriteTxnId(): number
  useReadTransaction(): ReadTransaction
  resetReadTxn(): void
  readerCheck(): number
  readerList(): string
  backup(path: string, compact: boolean): Promise<void>
  close(): Promise<void>
}

export function open(path: string, options: object): LmdbRoot

export const ABORT: number

export const nativeAddon: { getEnvFlags(address: number): number }
