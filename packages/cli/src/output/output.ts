import { once } from 'node:events'
import type { Explained } from './exit-code.ts'
import { EXIT } from './exit-code.ts'
import { withoutSecrets } from './secrets.ts'

export interface OutputOptions {
  readonly json: boolean
  readonly quiet: boolean
}

/** Lines between two turns of the event loop: only there does it show that the reader of a pipe went away. */
const TURN_EVERY = 256

/** Where a command writes: answers to stdout, everything about them to stderr. */
export class Output {
  readonly json: boolean
  readonly quiet: boolean
  readonly #gone = new AbortController()
  #failure: NodeJS.ErrnoException | undefined
  #answers = 0
  #drain: Promise<unknown> | undefined

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    // The reader of a pipe went away (`slip dump … | head`): what is left has no reader.
    if (error.code !== 'EPIPE') this.#failure ??= error
    this.#gone.abort()
  }

  constructor({ json, quiet }: OutputOptions) {
    this.json = json
    this.quiet = quiet
    process.stdout.on('error', this.#onError)
    process.stderr.on('error', nobodyToTell)
  }

  /** False once stdout takes nothing more: its reader went away, or it cannot be written. */
  get wanted(): boolean {
    return !this.#gone.signal.aborted
  }

  /** Aborts when stdout takes nothing more. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** One answer: `line` as NDJSON, or `text` for people. Wait for it, so that a slow reader slows us. */
  async answer(line: object, text: string): Promise<void> {
    if (!this.wanted) return
    process.stdout.write(this.json ? `${JSON.stringify(line)}\n` : `${text}\n`)
    if (++this.#answers % TURN_EVERY === 0) await new Promise((resolve) => setImmediate(resolve))
    if (!process.stdout.writableNeedDrain || !this.wanted) return
    this.#drain ??= once(process.stdout, 'drain', { signal: this.gone })
      .catch(() => undefined)
      .finally(() => (this.#drain = undefined))
    await this.#drain
  }

  warn(message: string): void {
    if (!this.quiet) process.stderr.write(`slip: ${withoutSecrets(message)}\n`)
  }

  /** The one error line, and under `--json` its object as the last line of stdout. */
  failure({ message, code, hint }: Explained, error: unknown): void {
    const sentence = withoutSecrets(message)
      .replace(/[.\s]+$/, '')
      .replaceAll('\n', ' ')
    process.stderr.write(`slip: ${sentence} (${code}). ${hint}\n`)
    if (process.env['SLIP_DEBUG'] === '1' && error instanceof Error)
      process.stderr.write(`${withoutSecrets(error.stack ?? '')}\n`)
    if (this.json && this.wanted)
      process.stdout.write(`${JSON.stringify({ error: { code, message: withoutSecrets(message), hint } })}\n`)
  }

  /**
   * Waits until everything is written; gives the exit code to end with, another one when stdout could not
   * be written.
   */
  async end(exit: number): Promise<number> {
    await this.#written(process.stdout)
    if (this.#failure !== undefined) {
      const message = `the output cannot be written: ${this.#failure.code ?? 'error'}`
      const hint = 'Check the free space, and what stdout is.'
      this.failure({ exit: EXIT.usage, code: 'Io', message, hint }, this.#failure)
    }
    await this.#written(process.stderr)
    process.stdout.off('error', this.#onError)
    process.stderr.off('error', nobodyToTell)
    return this.#failure === undefined ? exit : EXIT.usage
  }

  async #written(stream: NodeJS.WriteStream): Promise<void> {
    if (stream.destroyed) return
    await new Promise<void>((resolve) => stream.write('', () => resolve()))
    // The event of a failed write comes a turn after the write.
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function nobodyToTell(): void {}
