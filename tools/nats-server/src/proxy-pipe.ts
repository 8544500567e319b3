import type { Socket } from 'node:net'

const MOST_UNDER_WAY = 1_000

/** One direction of one connection: passes chunks in order, late or not at all, and buffers no more than sockets do. */
export class ProxyPipe {
  readonly #from: Socket
  readonly #to: Socket
  #held = false
  #delayMs = 0
  #last: Promise<void> = Promise.resolve()
  #underWay = 0
  #wake: () => void = () => undefined

  constructor(from: Socket, to: Socket) {
    this.#from = from
    this.#to = to
    from.on('data', (chunk) => this.#take(chunk))
    // What was under way still arrives, such as the error a server sends before it closes.
    from.on('close', () => void this.#last.then(() => to.destroySoon()))
    to.on('drain', () => this.#wake()).on('close', () => this.#wake())
  }

  set(state: { readonly held: boolean; readonly delayMs: number }): void {
    this.#held = state.held
    this.#delayMs = state.delayMs
    this.#wake()
    this.#flow()
  }

  #take(chunk: Buffer): void {
    this.#underWay++
    this.#flow()
    const due = performance.now() + this.#delayMs
    this.#last = this.#last.then(async () => {
      await this.#pass(chunk, due)
      this.#underWay--
      this.#flow()
    })
  }

  async #pass(chunk: Buffer, due: number): Promise<void> {
    const late = due - performance.now()
    if (late > 0) await new Promise((resolve) => setTimeout(resolve, late))
    while (this.#held && !this.#to.destroyed) await this.#woken()
    if (!this.#to.destroyed) this.#to.write(chunk)
    while (this.#to.writableNeedDrain && !this.#to.destroyed) await this.#woken()
  }

  async #woken(): Promise<void> {
    await new Promise<void>((resolve) => (this.#wake = resolve))
  }

  // A delay needs chunks under way at once; without one the next chunk waits until this one is written.
  #flow(): void {
    const most = this.#delayMs === 0 ? 1 : MOST_UNDER_WAY
    if (this.#held || this.#underWay >= most) this.#from.pause()
    else this.#from.resume()
  }
}
