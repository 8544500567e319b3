import type { Follower, FollowStatus } from '@slip/kv-core'
import type { Output } from '../output/output.ts'
import { statusLine, statusText } from './status-line.ts'

const EVERY_MS = 1_000

/** Prints a follower's status: at once when the state changes, otherwise once a second. */
export class StatusPrinter {
  readonly #output: Output
  readonly #follower: Follower
  readonly #stopListening: () => void
  #timer: NodeJS.Timeout | undefined
  #lastState: string | undefined
  #lastText: string | undefined
  #first = true

  constructor(follower: Follower, output: Output) {
    this.#output = output
    this.#follower = follower
    this.#print(follower.status)
    this.#stopListening = follower.onStatus((status) => {
      if (`${status.state} ${status.reason ?? ''}` !== this.#lastState) this.#print(status)
    })
    this.#arm()
  }

  stop(): void {
    this.#stopListening()
    clearTimeout(this.#timer)
  }

  /** The closing line: everything above, and how it ended. */
  async done(status: FollowStatus, reason: 'caughtUp' | 'signal'): Promise<void> {
    const { reason: _, ...line } = statusLine(status)
    await this.#output.answer({ ...line, done: true, reason }, `done (${reason})  ${statusText(status)}`)
  }

  #print(status: FollowStatus): void {
    this.#lastState = `${status.state} ${status.reason ?? ''}`
    const recovery = this.#first && status.recovery !== undefined ? { recovery: status.recovery } : {}
    this.#first = false
    const text = statusText(status)
    // People are spared a line that says nothing new.
    if (this.#output.json || text !== this.#lastText)
      void this.#output.answer({ ...statusLine(status), ...recovery }, text)
    this.#lastText = text
    this.#timer?.refresh()
  }

  #arm(): void {
    this.#timer = setInterval(() => this.#print(this.#follower.status), EVERY_MS)
  }
}
