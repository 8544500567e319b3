import { setTimeout as wait } from 'node:timers/promises'
import type { KvWriter } from '@slip/kv-core'
import type { SeededRandom } from '../seeded-random.ts'

const KEYS = 300

interface Written {
  readonly key: string
  /** undefined: a delete. */
  readonly value: string | undefined
}

/** The only writer of a bucket, which remembers what each revision did. */
export class Churn {
  readonly #writer: KvWriter
  readonly #random: SeededRandom
  readonly #history = new Map<bigint, Written>()
  readonly #over = new AbortController()
  readonly #running: Promise<void>
  #last = 0n

  constructor(writer: KvWriter, random: SeededRandom) {
    this.#writer = writer
    this.#random = random
    this.#running = this.#run()
    this.#running.catch(() => undefined)
  }

  /** The last revision that was written. */
  get last(): bigint {
    return this.#last
  }

  async stop(): Promise<void> {
    this.#over.abort()
    await this.#running
  }

  /** What the bucket was at a revision, as `key value revision`, in no order. */
  async at(revision: bigint): Promise<Set<string>> {
    // The server may have told others of a write before it told the writer.
    for (let tries = 0; this.#last < revision && tries < 2_000; tries++) await wait(5)
    const fold = new Map<string, string>()
    for (let each = 1n; each <= revision; each++) {
      const written = this.#history.get(each)
      if (written === undefined) throw new Error(`revision ${each} was written by nobody`)
      if (written.value === undefined) fold.delete(written.key)
      else fold.set(written.key, `${written.key} ${written.value} ${each}`)
    }
    return new Set(fold.values())
  }

  async #run(): Promise<void> {
    for (let i = 0; !this.#over.signal.aborted; i++) {
      const key = `node.${this.#random.below(KEYS)}`
      const value = this.#random.below(6) === 0 ? undefined : `${i}-${'x'.repeat(this.#random.below(400))}`
      const version =
        value === undefined ? await this.#writer.delete(key) : await this.#writer.put(key, value)
      const revision = version.revision!
      this.#history.set(revision, { key, value })
      this.#last = revision
      await wait(this.#random.below(10))
    }
  }
}
