import type { KvUpdate } from '@slip/kv-core'
import type { LogDraft } from './log-draft.ts'
import { recordSize, writeRecord } from './record.ts'

const FIRST_BYTES = 4096

/** Adds updates to the base of a draft one by one. */
export class UpdateWriter {
  readonly #draft: LogDraft
  #scratch: Uint8Array = new Uint8Array(FIRST_BYTES)

  constructor(draft: LogDraft) {
    this.#draft = draft
  }

  async add(update: KvUpdate): Promise<void> {
    const size = recordSize(update)
    if (size > this.#scratch.length) this.#scratch = new Uint8Array(2 * size)
    writeRecord(this.#scratch, 0, update)
    if (!this.#draft.fits(size)) await this.#draft.writeHeld()
    if (this.#draft.fits(size)) this.#draft.hold(this.#scratch, 0, size)
    else await this.#draft.writeLarge(this.#scratch, 0, size)
  }
}
