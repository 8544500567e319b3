import type { BulkOperation, KvWriter } from '@slip/kv-core'

const REGIONS = ['eu', 'us', 'ap', 'sa']

/** Writes routes, and remembers at which revision each key stands: what a restart may be measured against. */
export class WriteJournal {
  readonly #writer: KvWriter
  readonly #revisionOf = new Map<string, bigint>()
  writes = 0
  bytes = 0
  lastRevision = 0n

  constructor(writer: KvWriter) {
    this.#writer = writer
  }

  get keys(): number {
    return this.#revisionOf.size
  }

  /** Keys whose newest write is above `revision`: what a fold at that cursor still has to be told. */
  keysAbove(revision: bigint): number {
    let count = 0
    for (const at of this.#revisionOf.values()) if (at > revision) count++
    return count
  }

  /** Writes the routes with these numbers; the number of a route is its key for good. */
  async write(numbers: Iterable<number>, signal: AbortSignal): Promise<void> {
    for await (const outcome of this.#writer.bulk(this.#puts(numbers), { signal })) {
      if ('error' in outcome) throw outcome.error
      const revision = outcome.version.revision ?? 0n
      this.#revisionOf.set(outcome.key, revision)
      if (revision > this.lastRevision) this.lastRevision = revision
      this.writes++
    }
  }

  *#puts(numbers: Iterable<number>): Generator<BulkOperation> {
    for (const number of numbers) {
      const key = `route.${REGIONS[number % REGIONS.length]}.service-${number}`
      const value = JSON.stringify({
        address: `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}:8080`,
        weight: this.writes % 100,
        tags: ['demo', 'http', 'blue'],
      })
      this.bytes += key.length + value.length
      yield { operation: 'put', key, value }
    }
  }
}
