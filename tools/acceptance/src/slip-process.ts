import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../../packages/cli/dist/main.js', import.meta.url))

const SKEWED_CLOCK = new URL('./fleet/skewed-clock.js', import.meta.url).href

/** One parsed line of NDJSON. */
export type Line = Readonly<Record<string, unknown>>

export interface SlipResult {
  readonly code: number | null
  readonly lines: readonly Line[]
  readonly stdout: string
  readonly stderr: string
}

/** Runs one `slip` command to its end, as a user's shell would. `--json` is added. */
export async function slip(
  args: readonly string[],
  options: { readonly input?: string } = {},
): Promise<SlipResult> {
  const child = spawn(process.execPath, [MAIN, ...args, '--json'], { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
  const code = await exitOf(child)
  const stdout = Buffer.concat(out).toString()
  return { code, stdout, stderr: Buffer.concat(err).toString(), lines: parseLines(stdout) }
}

/** A `slip follow` that goes on until it is told otherwise. */
export class FollowProcess {
  readonly lines: Line[] = []
  readonly exited: Promise<number | null>
  stderr = ''
  readonly #child: ChildProcess
  readonly #waiting = new Set<() => void>()

  private constructor(child: ChildProcess) {
    this.#child = child
    this.exited = exitOf(child)
    createInterface({ input: child.stdout! }).on('line', (text) => {
      this.lines.push(JSON.parse(text) as Line)
      for (const look of this.#waiting) look()
    })
    child.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()))
  }

  /** `skewMs`: by how much its time of day is off. */
  static start(args: readonly string[], { skewMs = 0 }: { readonly skewMs?: number } = {}): FollowProcess {
    const skewed = skewMs === 0 ? [] : ['--import', SKEWED_CLOCK]
    return new FollowProcess(
      spawn(process.execPath, [...skewed, MAIN, 'follow', ...args, '--json'], {
        env: { ...process.env, SLIP_SKEW_MS: `${skewMs}` },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    )
  }

  get pid(): number {
    return this.#child.pid!
  }

  get last(): Line | undefined {
    return this.lines.at(-1)
  }

  /** The first line, seen already or to come from `from` on, that satisfies `wanted`. */
  async until(
    wanted: (line: Line) => boolean,
    options: { timeoutMs?: number; from?: number } = {},
  ): Promise<Line> {
    const { timeoutMs = 30_000, from = 0 } = options
    return await new Promise<Line>((resolve, reject) => {
      let next = from
      const finish = (act: () => void): void => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        act()
      }
      const look = (): void => {
        for (; next < this.lines.length; next++) {
          const line = this.lines[next]!
          if (wanted(line)) return finish(() => resolve(line))
        }
      }
      const timer = setTimeout(
        () =>
          finish(() =>
            reject(
              new Error(
                `no such line in ${timeoutMs} ms; the last is ${JSON.stringify(this.last)}\n${this.stderr}`,
              ),
            ),
          ),
        timeoutMs,
      )
      this.#waiting.add(look)
      void this.exited.then((code) => {
        look()
        if (this.#waiting.has(look))
          finish(() =>
            reject(new Error(`slip follow ended with ${code}: ${JSON.stringify(this.last)}\n${this.stderr}`)),
          )
      })
      look()
    })
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Kills with -9 and waits until the process is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code))
  })
}

function parseLines(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}
