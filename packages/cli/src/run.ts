import { readFile } from 'node:fs/promises'
import type { Command } from './command/command.ts'
import { commandHelp, overview } from './command/help.ts'
import { parseCommandLine } from './command/parse.ts'
import { COMMANDS } from './commands/all.ts'
import { EXIT, explain } from './output/exit-code.ts'
import { Output } from './output/output.ts'
import { UsageError } from './output/usage-error.ts'

/** Runs one command line and resolves with its exit code; never rejects. */
export async function run(args: readonly string[]): Promise<number> {
  const output = new Output({ json: args.includes('--json'), quiet: args.includes('--quiet') })
  try {
    if (args[0] === '--version') {
      output.text(`${await version()}\n`)
      return EXIT.done
    }
    const words = args.filter((arg) => !arg.startsWith('-'))
    if (words.length === 0) {
      output.text(overview(COMMANDS))
      return args.includes('--help') ? EXIT.done : EXIT.usage
    }
    const { command, rest } = findCommand(args)
    const { words: commandWords, options } = parseCommandLine(command, rest)
    if (options.on('help')) {
      output.text(commandHelp(command))
      return EXIT.done
    }
    return await command.run({ words: commandWords, options, output })
  } catch (error) {
    const explained = explain(error)
    output.failure(explained, error)
    return explained.exit
  }
}

/** For what nobody caught: the error line, and the exit code to end with. */
export function reportBug(args: readonly string[], error: unknown): number {
  const explained = explain(error)
  new Output({ json: args.includes('--json'), quiet: true }).failure(explained, error)
  return explained.exit
}

/** The command is the first word, or the first two (`bucket create`); options may stand before them. */
function findCommand(args: readonly string[]): {
  readonly command: Command
  readonly rest: readonly string[]
} {
  const first = args.findIndex((arg) => !arg.startsWith('-'))
  for (const length of [2, 1]) {
    const name = args.slice(first, first + length).join(' ')
    const command = COMMANDS.find((candidate) => candidate.name === name)
    if (command !== undefined)
      return { command, rest: [...args.slice(0, first), ...args.slice(first + length)] }
  }
  throw new UsageError(`'${args[first]}' is not a command`)
}

async function version(): Promise<string> {
  const manifest = await readFile(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
