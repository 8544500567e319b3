import { Slices } from '@slip/kv-core'
import type { ByteWindow } from '../byte-window.ts'
import { countsOf, neededBytes, nextRecord, type RawRecord } from './record.ts'
import { takeHeader } from './record-header.ts'

/** The records of a payload or of a part of one, in key order, each key once. */
export class RecordStream {
  readonly window: ByteWindow
  readonly #slices: Slices
  readonly #signal: AbortSignal | undefined
  #last: Buffer | undefined
  #entries = 0n
  #deleted = 0n
  /** Whether the record that ends a payload came. */
  ended = false
  /** The record that is looked at; undefined before the first and behind the last. Valid until `advance`. */
  current: RawRecord | undefined

  constructor(window: ByteWindow, signal: AbortSignal | undefined) {
    this.window = window
    this.#signal = signal
    this.#slices = new Slices('export.records')
  }

  /** Begins with the header of a whole payload. */
  static async ofPayload(
    window: ByteWindow,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly header: Buffer; readonly records: RecordStream }> {
    const header = await takeHeader(window)
    return { header, records: new RecordStream(window, signal) }
  }

  get counts(): { readonly entries: number; readonly deleted: number } {
    return { entries: Number(this.#entries), deleted: Number(this.#deleted) }
  }

  /** Goes to the next record when it can be had without waiting; undefined when it cannot. */
  step(): RawRecord | undefined {
    if (this.#slices.due()) return undefined
    const { current } = this
    // Before its bytes may be moved.
    if (current !== undefined) this.#last = copyInto(this.#last, current.key)
    const next = nextRecord(this.window)
    if (next === undefined) return undefined
    this.#judge(next)
    this.current = next
    return next
  }

  /**
   * Goes to the next record; undefined at the end, which in a payload is a record of its own that has to fit what came
   * before it. SnapshotError `Corrupted`, `InvalidFormat`.
   */
  async advance(): Promise<RawRecord | undefined> {
    for (;;) {
      const next = this.step()
      if (next !== undefined) return next
      if (this.#slices.due()) {
        await this.#slices.pause()
        this.#signal?.throwIfAborted()
        continue
      }
      this.current = undefined
      if (await this.window.fill(neededBytes(this.window))) {
        this.#slices.begin()
        continue
      }
      if (this.window.held > 0) throw this.window.wrong('Corrupted', 'it is cut short')
      this.#slices.end()
      return undefined
    }
  }

  #judge(record: RawRecord): void {
    if (this.ended) throw this.window.wrong('InvalidFormat', 'there is more behind its end')
    if (record.kind === 'end') {
      const { entries, deleted } = countsOf(record)
      if (entries !== this.#entries || deleted !== this.#deleted)
        throw this.window.wrong('InvalidFormat', 'its end counts other records')
      this.ended = true
      return
    }
    if (this.#last !== undefined && Buffer.compare(this.#last, record.key) >= 0)
      throw this.window.wrong('InvalidFormat', 'its keys are not in order')
    if (record.kind === 'live') this.#entries++
    else this.#deleted++
  }
}

/** A copy that does not take new memory for each key. */
function copyInto(held: Buffer | undefined, key: Buffer): Buffer {
  const room = held === undefined ? undefined : new Uint8Array(held.buffer, 0)
  const target =
    room !== undefined && room.length >= key.length ? room : new Uint8Array(Math.max(256, 2 * key.length))
  target.set(key)
  return Buffer.from(target.buffer as ArrayBuffer, 0, key.length)
}
