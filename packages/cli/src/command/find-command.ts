import type { Command } from './command.ts'

export interface Found {
  /** The first word; undefined when there is none. */
  readonly name: string | undefined
  readonly command: Command | undefined
  /** The options that stand before it, with their values. */
  readonly before: readonly string[]
  /** What follows its name. */
  readonly rest: readonly string[]
}

/** The command is the first word, or the first two (`bucket create`); options may stand before them. */
export function findCommand(commands: readonly Command[], args: readonly string[]): Found {
  const withValue = new Set(
    commands.flatMap(({ options }) =>
      Object.entries(options).flatMap(([name, { value }]) => (value === undefined ? [] : [`--${name}`])),
    ),
  )
  let first = 0
  while (first < args.length && args[first]!.startsWith('-')) first += withValue.has(args[first]!) ? 2 : 1
  const before = args.slice(0, first)
  for (const length of [2, 1]) {
    const name = args.slice(first, first + length).join(' ')
    const command = commands.find((candidate) => candidate.name === name)
    if (command !== undefined) return { name, command, before, rest: args.slice(first + length) }
  }
  return { name: args[first], command: undefined, before, rest: args.slice(first + 1) }
}

/** The commands of two words whose first is `name`. */
export function groupCommands(commands: readonly Command[], name: string): readonly Command[] {
  return commands.filter((command) => command.name.startsWith(`${name} `))
}
