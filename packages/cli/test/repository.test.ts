import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { linesOf, slipBatch, temporaryDirectory } from './slip.ts'

const RUN = fileURLToPath(new URL('../../../tools/repo/run.mjs', import.meta.url))

/** What `pnpm slip …` runs, in a process group of its own. */
function pnpmSlip(args: readonly string[], directory: string) {
  const child = spawn(process.execPath, [RUN, 'slip', ...args], {
    // pnpm changes to the repository and says in INIT_CWD where the user stands.
    env: { ...process.env, INIT_CWD: directory, SLIP_BUILD: 'off' },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  const closed = once(child, 'close') as Promise<[number | null]>
  return { pid: child.pid!, closed, stdout: () => stdout }
}

test('pnpm slip passes the exit code on, with nothing else on stdout, where the user stands', async () => {
  const directory = temporaryDirectory()
  const slip = pnpmSlip(['verify', 'none', '.', '--json'], directory)
  expect((await slip.closed)[0]).toBe(4)
  const lines = linesOf(slip.stdout())
  expect(lines.map(({ path, verdict }) => [path, verdict])).toEqual([
    ['none', 'missing'],
    ['.', 'foreign'],
  ])
})

test.each(['SIGINT', 'SIGTERM'] as const)(
  'pnpm slip takes one %s of its group as one: it ends in order',
  { timeout: 60_000 },
  async (signal) => {
    const directory = temporaryDirectory()
    const args = ['follow', 'b', '--fold', 'log:f.slip', '--server', '127.0.0.1:1', '--json']
    const slip = pnpmSlip(args, directory)
    await expect.poll(() => slip.stdout().includes('"connecting"'), { timeout: 30_000 }).toBe(true)
    // No process stands between that could pass the signal on a second time.
    const [inspected] = await slipBatch([['inspect', join(directory, 'f.slip'), '--json']])
    expect(inspected!.lines[0]).toMatchObject({ holder: { pid: slip.pid } })
    process.kill(-slip.pid, signal)
    expect((await slip.closed)[0]).toBe(0)
    expect(linesOf(slip.stdout()).at(-1)).toMatchObject({ done: true, reason: 'signal' })
  },
)
