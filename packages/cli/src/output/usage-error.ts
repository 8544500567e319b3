/** The command line itself, or a line of input, cannot be used: exit 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError'
  readonly code: string = 'Usage'
  /** Whose help to point to; of `slip` itself when absent. */
  command: string | undefined

  constructor(message: string, command?: string) {
    super(message)
    this.command = command
  }

  get hint(): string {
    return `See: slip ${this.command === undefined ? '' : `${this.command} `}--help`
  }
}
