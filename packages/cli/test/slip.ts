import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'

export const MAIN: string = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const INDEX = new URL('../dist/index.js', import.meta.url).href
/** A command that does not end is a failed test, and not one that never ends. */
const GIVEN_UP = { timeout: 60_000, killSignal: 'SIGKILL' } as const
const SEPARATOR = '\u001E'

export type Line = Readonly<Record<string, unknown>>

export interface SlipResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** Stdout as NDJSON; asks for `--json`. */
  readonly lines: readonly Line[]
}

export interface SlipOptions {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
}

/** This machine's environment with nothing of its NATS settings. */
function cleanEnvironment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const clean = Object.entries(process.env).filter(([name]) => !/^(SLIP|NATS)_/.test(name))
  const home = temporaryDirectory()
  return { ...Object.fromEntries(clean), HOME: home, XDG_CONFIG_HOME: home, ...more }
}

/** The built command as a child process. */
export function start(args: readonly string[], options: SlipOptions = {}): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], {
    env: cleanEnvironment(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
    ...GIVEN_UP,
  })
}

export async function slip(args: readonly string[], options: SlipOptions = {}): Promise<SlipResult> {
  const child = start(args, options)
  child.stdin!.on('error', () => undefined)
  child.stdin!.end(options.input ?? '')
  const [code, stdout, stderr] = await outcomeOf(child)
  return resultOf(code, stdout, stderr)
}

/** Many commands one after the other in one process: the same `run`, without a start for each. */
export async function slipBatch(
  commands: readonly (readonly string[])[],
  env: Readonly<Record<string, string>> = {},
): Promise<readonly SlipResult[]> {
  const program = `
    const { run } = await import(${JSON.stringify(INDEX)})
    for (const args of ${JSON.stringify(commands)}) {
      const code = await run(args)
      for (const stream of [process.stdout, process.stderr]) stream.write(code + ${JSON.stringify(SEPARATOR)})
    }`
  const child = spawn(process.execPath, ['--input-type=module', '-'], {
    env: cleanEnvironment(env),
    ...GIVEN_UP,
  })
  child.stdin.end(program)
  const [, stdout, stderr] = await outcomeOf(child)
  const errors = stderr.split(SEPARATOR)
  return stdout
    .split(SEPARATOR)
    .slice(0, -1)
    .map((text, i) => {
      const code = /\d+$/.exec(text)![0]
      const without = (whole: string): string => whole.slice(0, whole.length - code.length)
      return resultOf(Number(code), without(text), without(errors[i]!))
    })
}

async function outcomeOf(child: ChildProcess): Promise<[number | null, string, string]> {
  let stdout = ''
  let stderr = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  return [code, stdout, stderr]
}

function resultOf(code: number | null, stdout: string, stderr: string): SlipResult {
  return {
    code,
    stdout,
    stderr,
    get lines() {
      return linesOf(stdout)
    },
  }
}

export function linesOf(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}

const directories: string[] = []

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

/** Gone when all tests of the file are over. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'slip-cli-'))
  directories.push(directory)
  return directory
}

/** `slip: what went wrong (CODE). What to do.` */
export const ERROR_LINE: RegExp = /^slip: .+ \([A-Za-z]+\)\. .+[.\w]\n$/
