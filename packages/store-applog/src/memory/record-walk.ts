import { recordIsPut, recordLengthOf } from '../record.ts'
import type { IdScan } from './id-scan.ts'
import type { ListedImage } from './listing.ts'

/**
 * Walks the records of an image without allocating: after each `next()` that returned true,
 * `bytes[start, end)` is one whole record, to be copied or written before the next step. Writes to
 * the fold may go on between two steps; they are not seen. Close it, unless it was walked to its end.
 */
export class RecordWalk {
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  end = 0
  readonly #image: ListedImage
  readonly #scan: IdScan
  readonly #removals: boolean
  readonly #closes: boolean

  /** With `closes` the image ends with the walk. */
  constructor(image: ListedImage, scan: IdScan, removals: boolean, closes: boolean) {
    this.#image = image
    this.#scan = scan
    this.#removals = removals
    this.#closes = closes
  }

  /** SnapshotError `ViewExpired` after `close`. */
  next(): boolean {
    const { source } = this.#image
    for (let id = this.#scan.next(); id !== -1; id = this.#scan.next()) {
      if (!source.locate(id) || !(this.#removals || recordIsPut(source.bytes, source.at))) continue
      this.bytes = source.bytes
      this.start = source.at
      this.end = source.at + recordLengthOf(source.bytes, source.at)
      return true
    }
    this.close()
    return false
  }

  close(): void {
    if (this.#closes) this.#image.close()
  }
}
