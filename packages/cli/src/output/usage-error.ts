/** The command line itself, or a line of input, cannot be used: exit 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError'
  readonly code: string = 'Usage'
  readonly hint: string

  constructor(message: string, command?: string, hint?: string) {
    super(message)
    this.hint = hint ?? `See: slip ${command === undefined ? '' : `${command} `}--help`
  }
}
