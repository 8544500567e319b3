import type { MessageLog } from './message-log.ts'
import { newestThrough, type Message } from './message.ts'

/**
 * The newest message of each key at one revision, read step by step while writes go on. A message
 * that is removed before the cut reached it is kept for it, so a listing is exact at its revision and
 * holds no more than what was overwritten meanwhile.
 */
export class ListingCut {
  readonly revision: number
  readonly #log: MessageLog
  readonly #headOf: (key: string) => Message | undefined
  readonly #kept = new Map<string, Message>()
  #position = 0

  constructor(log: MessageLog, headOf: (key: string) => Message | undefined) {
    this.#log = log
    this.#headOf = headOf
    this.revision = log.lastRevision
  }

  /** Called for each message just before it leaves the bucket. */
  removing(message: Message): void {
    if (message.revision <= this.#position || message.revision > this.revision) return
    if (this.#kept.has(message.key)) return
    if (newestThrough(this.#headOf(message.key), this.revision) === message)
      this.#kept.set(message.key, message)
  }

  next(): Message | undefined {
    for (;;) {
      const message = this.#log.after(this.#position)
      if (message === undefined || message.revision > this.revision) break
      this.#position = message.revision
      if (this.#kept.has(message.key)) continue
      if (newestThrough(this.#headOf(message.key), this.revision) === message) return message
    }
    this.#position = this.revision
    for (const [key, message] of this.#kept) {
      this.#kept.delete(key)
      return message
    }
    return undefined
  }
}
