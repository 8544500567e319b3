import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

export const MAIN: string = fileURLToPath(new URL('../dist/main.js', import.meta.url))

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

/** The built command as a child process, with nothing of this machine's NATS settings. */
export function start(args: readonly string[], options: SlipOptions = {}): ChildProcess {
  const clean = Object.entries(process.env).filter(([name]) => !/^(SLIP|NATS)_/.test(name))
  const home = temporaryDirectory()
  return spawn(process.execPath, [MAIN, ...args], {
    env: { ...Object.fromEntries(clean), HOME: home, XDG_CONFIG_HOME: home, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

export async function slip(args: readonly string[], options: SlipOptions = {}): Promise<SlipResult> {
  const child = start(args, options)
  child.stdin!.on('error', () => undefined)
  child.stdin!.end(options.input ?? '')
  let stdout = ''
  let stderr = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  const [code] = (await once(child, 'close')) as [number | null]
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

/** Gone when the test is over. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'slip-cli-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** `slip: what went wrong (CODE). What to do.` */
export const ERROR_LINE: RegExp = /^slip: .+ \([A-Za-z]+\)\. .+[.\w]\n$/
