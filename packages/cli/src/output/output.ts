import { once } from 'node:events'
import type { Explained } from './exit-code.ts'

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
  #closed = false
  #answers = 0
  #drain: Promise<unknown> | undefined

  constructor({ json, quiet }: OutputOptions) {
    this.json = json
    this.quiet = quiet
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      // The reader of a pipe went away (`slip dump … | head`): what is left has no reader.
      if (error.code !== 'EPIPE') throw error
      this.#closed = true
    })
  }

  /** False once nobody reads stdout. */
  get wanted(): boolean {
    return !this.#closed
  }

  /** One answer: `line` as NDJSON, or `text` for people. Wait for it, so that a slow reader slows us. */
  async answer(line: object, text: string): Promise<void> {
    if (this.#closed) return
    process.stdout.write(this.json ? `${JSON.stringify(line)}\n` : `${text}\n`)
    if (++this.#answers % TURN_EVERY === 0) await new Promise((resolve) => setImmediate(resolve))
    if (!process.stdout.writableNeedDrain || this.#closed) return
    this.#drain ??= once(process.stdout, 'drain')
      .catch(() => undefined)
      .finally(() => (this.#drain = undefined))
    await this.#drain
  }

  /** Plain text for people, such as a help text; also under `--json`. */
  text(text: string): void {
    process.stdout.write(text)
  }

  warn(message: string): void {
    if (!this.quiet) process.stderr.write(`slip: ${message}\n`)
  }

  /** The one error line, and under `--json` its object as the last line of stdout. */
  failure({ message, code, hint }: Explained, error: unknown): void {
    const sentence = message.replace(/[.\s]+$/, '').replaceAll('\n', ' ')
    process.stderr.write(`slip: ${sentence} (${code}). ${hint}\n`)
    if (process.env['SLIP_DEBUG'] === '1' && error instanceof Error)
      process.stderr.write(`${error.stack ?? ''}\n`)
    if (this.json && !this.#closed)
      process.stdout.write(`${JSON.stringify({ error: { code, message, hint } })}\n`)
  }
}
