import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))

export interface Outcome {
  /** null when it was stopped because it took too long. */
  readonly code: number | null
  readonly output: string
}

/**
 * Runs the simulator's command line. In a process of its own always: it changes the clocks and timers of
 * the one it runs in, which the test runner needs.
 */
export function simulator(words: readonly string[], timeoutMs: number): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
    const parts: Buffer[] = []
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.stdout.on('data', (part: Buffer) => parts.push(part))
    child.stderr.on('data', (part: Buffer) => parts.push(part))
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ code, output: Buffer.concat(parts).toString() })
    })
  })
}

/** The words after the name of the script in the command an output ends with, which repeats the run. */
export function repeatedBy(output: string): readonly string[] {
  const commands = [...output.matchAll(/pnpm --filter @slip\/simulation simulate (.+)/g)]
  return commands.at(-1)?.[1]?.split(' ') ?? []
}

/** The number of the promise an output says was broken; undefined when it says nothing of one. */
export function brokenPromise(output: string): number | undefined {
  const found = /promise (\d+) broken/.exec(output)?.[1]
  return found === undefined ? undefined : Number(found)
}
