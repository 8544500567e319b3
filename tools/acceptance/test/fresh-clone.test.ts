import { execFile } from 'node:child_process'
import { cp, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const GOLDEN = 'packages/store-lmdb/test/golden/fold'
/** What a clone does not have. */
const MADE = new Set(['.git', '.turbo', 'dist', 'node_modules', 'reports'])

test('slip reads a fold in LMDB in a clone in which nothing was built yet', async () => {
  const clone = await mkdtemp(join(tmpdir(), 'slip-clone-'))
  try {
    await cloned(clone)
    const slip = async (...words: string[]): Promise<string> => {
      const command = [join(clone, 'tools/repo/run.mjs'), 'slip', ...words]
      const env = { ...process.env, INIT_CWD: clone, SLIP_BUILD: 'on' }
      return (await run(process.execPath, command, { cwd: clone, env })).stdout
    }
    const entries = async (fold: string): Promise<number> =>
      (await slip('ls', fold)).split('\n').filter((line) => line !== '').length
    const path = join(clone, 'fold')
    await cp(join(ROOT, GOLDEN), path, { recursive: true })
    expect(await entries(`lmdb:${path}`)).toBe(126)
    // What is built is built once, and again where the part is missing that the compiler does not make.
    await rm(join(clone, 'packages/store-lmdb/dist/lmdb-js.js'))
    expect(await entries(`lmdb:${path}`)).toBe(126)
  } finally {
    await rm(clone, { recursive: true, force: true })
  }
}, 300_000)

/** The sources as they are, and the dependencies as they were installed. */
async function cloned(target: string): Promise<void> {
  await cp(ROOT, target, { recursive: true, filter: (from) => from === ROOT || !MADE.has(basename(from)) })
  await symlink(join(ROOT, 'node_modules'), join(target, 'node_modules'))
  for (const place of ['packages', 'tools'])
    for (const name of await readdir(join(ROOT, place)))
      await linked(join(ROOT, place, name), join(target, place, name))
  await linked(join(ROOT, 'examples'), join(target, 'examples'))
}

/** Links of the workspace lead to the packages of the clone. */
async function linked(from: string, to: string): Promise<void> {
  if (!(await readdir(from)).includes('node_modules')) return
  await cp(join(from, 'node_modules'), join(to, 'node_modules'), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !basename(path).startsWith('.'),
  })
}
