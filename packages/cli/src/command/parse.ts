import { parseArgs, type ParseArgsConfig } from 'node:util'
import { UsageError } from '../output/usage-error.ts'
import type { Command, OptionSpecs, ParsedOptions } from './command.ts'

/** Understood by every command. */
export const COMMON_OPTIONS: OptionSpecs = {
  json: { help: 'NDJSON on stdout and nothing else there' },
  quiet: { help: 'no progress and no warnings on stderr' },
  help: { help: 'this text' },
}

export interface Parsed {
  readonly words: readonly string[]
  readonly options: ParsedOptions
}

/** Splits the arguments after the command's name into words and options; UsageError for what it does not know. */
export function parseCommandLine(command: Command, args: readonly string[]): Parsed {
  const specs = { ...command.options, ...COMMON_OPTIONS }
  const config: ParseArgsConfig['options'] = {}
  for (const [name, spec] of Object.entries(specs))
    config[name] = { type: spec.value === undefined ? 'boolean' : 'string', multiple: spec.multiple ?? false }
  config['help'] = { type: 'boolean', short: 'h' }
  let parsed: ReturnType<typeof parseArgs>
  try {
    parsed = parseArgs({
      args: attachDashValues(args, specs),
      options: config,
      allowPositionals: true,
      strict: true,
    })
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]!, command.name)
  }
  const options: ParsedOptions = {
    text: (name) => parsed.values[name] as string | undefined,
    list: (name) => (parsed.values[name] as string[] | undefined) ?? [],
    on: (name) => parsed.values[name] === true,
  }
  if (!options.on('help')) checkWords(command, parsed.positionals)
  return { words: parsed.positionals, options }
}

// `--gte -x` is a value here, not an option of its own.
function attachDashValues(args: readonly string[], specs: OptionSpecs): string[] {
  const joined: string[] = []
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    const next = args[i + 1]
    if (arg === '--') return [...joined, ...args.slice(i)]
    const spec = arg.startsWith('--') ? specs[arg.slice(2)] : undefined
    if (spec?.bare !== undefined) {
      joined.push(`${arg}=${spec.bare}`)
      continue
    }
    const takesValue = spec?.value !== undefined
    if (takesValue && next !== undefined && next.startsWith('-')) {
      joined.push(`${arg}=${next}`)
      i++
    } else joined.push(arg)
  }
  return joined
}

/** Words whose shape says that they name a bucket, by the rule of NATS KV. */
function checkBucketNames(command: Command, words: readonly string[]): void {
  for (const [i, shape] of command.words.entries())
    if ((shape === 'BUCKET' || shape === 'NAME') && !/^[-_a-zA-Z0-9]+$/.test(words[i] ?? ''))
      throw new UsageError(
        `'${words[i] ?? ''}' cannot be a bucket: letters, digits, - and _ only`,
        command.name,
      )
}

function checkWords(command: Command, words: readonly string[]): void {
  const required = command.words.filter((word) => !word.startsWith('['))
  const open = command.words.some((word) => /…\]?$/.test(word))
  if (words.length < required.length)
    throw new UsageError(`${required.slice(words.length).join(' and ')} missing`, command.name)
  checkBucketNames(command, words)
  if (!open && words.length > command.words.length)
    throw new UsageError(`'${words[command.words.length]}' is one word too many`, command.name)
}
