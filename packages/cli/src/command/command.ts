import type { Output } from '../output/output.ts'

/** One option of a command, as its help shows it. */
export interface OptionSpec {
  /** `SHAPE` of the value in the help; absent for a switch. */
  readonly value?: string
  readonly help: string
  readonly multiple?: boolean
  /** The value of the option when it is given without one; then a value needs `=`. */
  readonly bare?: string
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>

/** What a command gets: its words, its options, and where to write. */
export interface Invocation {
  readonly words: readonly string[]
  readonly options: ParsedOptions
  readonly output: Output
}

/** Read access to parsed options by name. */
export interface ParsedOptions {
  text(name: string): string | undefined
  list(name: string): readonly string[]
  on(name: string): boolean
}

export interface Command {
  /** `follow`, `bucket create`. */
  readonly name: string
  /** The words after the name: `BUCKET`, `[KEY]`, `PATH…`. */
  readonly words: readonly string[]
  readonly summary: string
  /** More than one sentence, shown by `--help` only. */
  readonly details?: string
  readonly options: OptionSpecs
  /** What other exit codes than 0 mean here. */
  readonly exits: readonly string[]
  readonly example: string
  /** The exit code. */
  run(invocation: Invocation): Promise<number>
}
