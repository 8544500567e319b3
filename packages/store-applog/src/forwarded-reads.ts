import type { KvEntry, RangeOptions } from '@slip/kv-core'
import type { FoldReads } from './memory/memory-fold.ts'

/** The reads of a fold that its owner may take away. */
export abstract class ForwardedReads implements FoldReads {
  /** What is read; throws SnapshotError once nothing may be. */
  protected abstract readable(): FoldReads

  get(key: string): KvEntry | undefined {
    return this.readable().get(key)
  }

  getMany(keys: readonly string[]): (KvEntry | undefined)[] {
    return this.readable().getMany(keys)
  }

  has(key: string): boolean {
    return this.readable().has(key)
  }

  range(prefix: string, options?: RangeOptions): KvEntry[] {
    return this.readable().range(prefix, options)
  }

  entries(prefix?: string, options?: RangeOptions): IterableIterator<KvEntry> {
    return this.readable().entries(prefix, options)
  }

  keys(prefix?: string, options?: RangeOptions): IterableIterator<string> {
    return this.readable().keys(prefix, options)
  }
}
