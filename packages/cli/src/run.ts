import { commandHelp, groupHelp, overview } from './command/help.ts'
import { findCommand, groupCommands } from './command/find-command.ts'
import { COMMON_OPTIONS, parseCommandLine } from './command/parse.ts'
import { COMMANDS } from './commands/all.ts'
import { EXIT, explain } from './output/exit-code.ts'
import { Output } from './output/output.ts'
import { UsageError } from './output/usage-error.ts'
import { slipVersion } from './output/version.ts'

/** Runs one command line and resolves with its exit code; never rejects. */
export async function run(args: readonly string[]): Promise<number> {
  const output = new Output(switches(args))
  let exit: number
  try {
    exit = await answer(args, output)
  } catch (error) {
    const explained = explain(error)
    output.failure(explained, error)
    exit = explained.exit
  }
  return await output.end(exit)
}

/** For what nobody caught: the error line, and the exit code to end with. */
export function reportBug(args: readonly string[], error: unknown): number {
  const explained = explain(error)
  new Output({ ...switches(args), quiet: true }).failure(explained, error)
  return explained.exit
}

async function answer(args: readonly string[], output: Output): Promise<number> {
  const { name, command, before, rest } = findCommand(COMMANDS, args)
  const asked = (...options: string[]): boolean => options.some((option) => before.includes(option))
  if (name === undefined) {
    if (asked('--version')) return await answerVersion(output)
    if (asked('--help', '-h')) return await answerHelp(output, 'slip', overview(COMMANDS))
    const unknown = before.find((option) => !Object.hasOwn(COMMON_OPTIONS, option.replace(/^--/, '')))
    if (unknown !== undefined) throw new UsageError(`'${unknown}' is not an option before a command`)
    if (!output.json) await output.answer({}, overview(COMMANDS).trimEnd())
    throw new UsageError('no command was given')
  }
  if (command === undefined) {
    const group = groupCommands(COMMANDS, name)
    if (group.length === 0) throw new UsageError(`'${name}' is not a command`)
    if (asked('--help', '-h') || rest.some((arg) => arg === '--help' || arg === '-h'))
      return await answerHelp(output, name, groupHelp(name, group))
    throw new UsageError(`'${name}' is one of: ${group.map((each) => each.name).join(', ')}`)
  }
  const { words, options } = parseCommandLine(command, [...before, ...rest])
  if (options.on('help')) return await answerHelp(output, command.name, commandHelp(command))
  try {
    return await command.run({ words, options, output })
  } catch (error) {
    if (error instanceof UsageError) error.command ??= command.name
    throw error
  }
}

async function answerHelp(output: Output, command: string, help: string): Promise<number> {
  await output.answer({ command, help }, help.trimEnd())
  return EXIT.done
}

async function answerVersion(output: Output): Promise<number> {
  const version = await slipVersion()
  await output.answer({ version }, version)
  return EXIT.done
}

/** The switches that say how to answer, known before anything else of the command line is. */
function switches(args: readonly string[]): { readonly json: boolean; readonly quiet: boolean } {
  const end = args.indexOf('--')
  const options = end === -1 ? args : args.slice(0, end)
  return { json: options.includes('--json'), quiet: options.includes('--quiet') }
}
