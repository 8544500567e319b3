import { COMMON_OPTIONS } from './parse.ts'
import type { Command, OptionSpecs } from './command.ts'

const WIDTH = 100

const COMMON_EXITS = [
  '0  done, or the answer is yes',
  '2  wrong usage, an invalid key or line, or a local file that is missing, exists already or cannot be written',
]

/** The text of `slip COMMAND --help`. */
export function commandHelp(command: Command): string {
  const lines = [
    `slip ${command.name} ${command.words.join(' ')}`.trimEnd(),
    '',
    command.summary,
    ...(command.details === undefined ? [] : ['', ...wrapped(command.details)]),
    '',
    'Options',
    ...optionLines({ ...command.options, ...COMMON_OPTIONS }),
    '',
    'Exit codes',
    ...sortedExits(command.exits).map((line) => `  ${line}`),
    '',
    'Example',
    `  ${command.example}`,
  ]
  return `${lines.join('\n')}\n`
}

/** The text of `slip --help`. */
export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return `${[
    'slip keeps durable local folds of NATS KV buckets in step, and looks after them.',
    '',
    'slip COMMAND [WORDS] [OPTIONS]    slip COMMAND --help    slip --version',
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'FOLD is log:PATH or lmdb:PATH.',
    'Servers: --server, SLIP_SERVER, the context of the NATS CLI, nats://127.0.0.1:4222.',
    'Exit codes: 0 yes or done, 1 no, 2 usage or local file, 3 source, 4 damaged or foreign fold, 5 busy, 6 behind, 70 a bug.',
  ].join('\n')}\n`
}

/** The text of `slip bucket --help`: the commands that begin with this word. */
export function groupHelp(name: string, commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length))
  return `${[
    `slip ${name} …`,
    '',
    ...commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`),
    '',
    `slip ${commands[0]!.name} --help says everything about one of them.`,
  ].join('\n')}\n`
}

/** What a command says of a code stands in place of what holds for all. */
function sortedExits(exits: readonly string[]): string[] {
  const codeOf = (line: string): number => Number.parseInt(line, 10)
  const codes = new Set(exits.map(codeOf))
  return [...COMMON_EXITS.filter((line) => !codes.has(codeOf(line))), ...exits].sort(
    (a, b) => codeOf(a) - codeOf(b),
  )
}

function wrapped(text: string): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!
    if (line !== '' && line.length + 1 + word.length > WIDTH) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines
}

function optionLines(specs: OptionSpecs): string[] {
  const flags = Object.entries(specs).map(([name, { value, help, multiple, bare }]) => ({
    flag: `--${name}${value === undefined ? '' : bare === undefined ? ` ${value}` : `[=${value}]`}`,
    help: multiple === true ? `${help} (repeatable)` : help,
  }))
  const width = Math.min(34, Math.max(...flags.map(({ flag }) => flag.length)))
  return flags.map(({ flag, help }) => `  ${flag.padEnd(width)}  ${help}`)
}
