import { protocol } from '../protocol/protocol.ts'
import type { StatusBoard } from './status-board.ts'

/** Tells the board of silence, until it is stopped: as long as there is a status, it may not claim a contact there was not. */
export class Watchdog {
  /** Called again and again while the silence lasts. */
  onSilent: ((nowMs: number) => void) | undefined
  readonly #board: StatusBoard
  readonly #staleAfterMs: number
  #timer: NodeJS.Timeout

  constructor(board: StatusBoard, staleAfterMs: number) {
    this.#board = board
    this.#staleAfterMs = staleAfterMs
    this.#timer = setTimeout(this.#check, staleAfterMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  readonly #check = (): void => {
    const staleAfterMs = this.#staleAfterMs
    const nowMs = performance.now()
    const { lastProofMs } = this.#board
    const stale = protocol.watchdog({ nowMs, lastProofMs, staleAfterMs }) === 'stale'
    if (stale) {
      this.#board.dispatch({ type: 'silence' })
      this.onSilent?.(nowMs)
    }
    const nextMs = stale ? staleAfterMs / 4 : Math.max(1, lastProofMs + staleAfterMs - nowMs)
    this.#timer = setTimeout(this.#check, nextMs)
  }
}
