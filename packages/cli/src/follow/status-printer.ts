import type { RoundsStatus } from '@slip/export'
import type { Follower, FollowStatus } from '@slip/kv-core'
import type { Repaired } from '../fold/repaired.ts'
import type { Output } from '../output/output.ts'
import { roundsLine, roundsText } from './rounds-line.ts'
import { OPENING, statusLine, statusText } from './status-line.ts'

const EVERY_MS = 1_000

/** Prints a follower's status: at once when the state changes, otherwise once a second. */
export class StatusPrinter {
  readonly #output: Output
  #status: () => FollowStatus = () => OPENING
  #stopListening: (() => void) | undefined
  readonly #timer: NodeJS.Timeout
  #rounds: (() => RoundsStatus) | undefined
  #lastState: string | undefined
  #lastText: string | undefined

  /** Until `follow` is called the fold is being opened; that is worth a line once it takes a second. */
  constructor(output: Output) {
    this.#output = output
    this.#timer = setInterval(() => this.#print(this.#status()), EVERY_MS)
  }

  /** The fold is open; `repaired` is told in this first line of the follower. */
  follow(follower: Follower, repaired: Repaired | undefined): void {
    this.#status = () => follower.status
    this.#print(follower.status, repaired === undefined ? {} : { recovery: repaired })
    this.#stopListening = follower.onStatus((status) => {
      if (stateOf(status) !== this.#lastState) this.#print(status)
    })
  }

  /** What the follower publishes is told in every line from now on. */
  publishes(rounds: { readonly status: RoundsStatus }): void {
    this.#rounds = () => rounds.status
  }

  /** Where the follower stands now. */
  get status(): FollowStatus {
    return this.#status()
  }

  /** What its rounds did; undefined while there are none. */
  get rounds(): RoundsStatus | undefined {
    return this.#rounds?.()
  }

  stop(): void {
    this.#stopListening?.()
    clearInterval(this.#timer)
  }

  /** The last line before an error. */
  failed(reason: string): void {
    this.stop()
    if (!this.#lastState?.startsWith('failed')) this.#print({ ...this.#status(), state: 'failed', reason })
  }

  /** The closing line: everything above, and how it ended. */
  async done(reason: 'caughtUp' | 'signal'): Promise<void> {
    this.stop()
    const status: FollowStatus = { ...this.#status(), state: 'closed' }
    const { reason: _, ...line } = this.#line(status)
    await this.#output.answer({ ...line, done: true, reason }, `done (${reason})  ${this.#text(status)}`)
  }

  #print(status: FollowStatus, more: object = {}): void {
    this.#lastState = stateOf(status)
    const text = this.#text(status)
    // People are spared a line that says nothing new.
    if (this.#output.json || text !== this.#lastText)
      void this.#output.answer({ ...this.#line(status), ...more }, text)
    this.#lastText = text
    this.#timer.refresh()
  }

  #line(status: FollowStatus): Record<string, unknown> {
    return {
      ...statusLine(status),
      ...(this.#rounds === undefined ? {} : { rounds: roundsLine(this.#rounds()) }),
    }
  }

  #text(status: FollowStatus): string {
    return `${statusText(status)}${this.#rounds === undefined ? '' : roundsText(this.#rounds())}`
  }
}

function stateOf({ state, reason = '' }: FollowStatus): string {
  return `${state} ${reason}`
}
