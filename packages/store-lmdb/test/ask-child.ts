import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, expect } from 'vitest'

const CHILD = fileURLToPath(new URL('open-child.mjs', import.meta.url))
const PATIENCE_MS = 60_000

/** What the child saw of a fold. */
export interface Found {
  readonly revision?: number
  readonly entries?: [string, string][]
  readonly deleted?: string[]
  /** Keys that a scan finds and `get` does not. */
  readonly hidden?: string[]
  readonly code?: string
  /** What found it, where that is not the opening. */
  readonly by?: string
  readonly crash?: string
}

let child: ChildProcess | undefined

afterAll(() => child?.kill())

/** Lets another process open a fold; it must live to say what it found, and say it. */
export async function askChild(request: object): Promise<Found> {
  child ??= spawn(process.execPath, [CHILD], { stdio: ['pipe', 'pipe', 'inherit'] })
  const current = child
  const lines = createInterface({ input: current.stdout! })
  const done = new AbortController()
  const patience = setTimeout(() => current.kill('SIGKILL'), PATIENCE_MS)
  try {
    current.stdin!.write(`${JSON.stringify(request)}\n`)
    const { signal } = done
    const died = once(current, 'exit', { signal }).then(([code, by]) => ({
      crash: `${String(code)} ${String(by)}`,
    }))
    const answered = once(lines, 'line', { signal }).then(([line]) => JSON.parse(String(line)) as Found)
    const found = await Promise.race([answered, died])
    done.abort()
    await Promise.allSettled([answered, died])
    if (found.crash !== undefined) child = undefined
    expect(found.crash, JSON.stringify(request)).toBeUndefined()
    return found
  } finally {
    clearTimeout(patience)
    lines.close()
  }
}
