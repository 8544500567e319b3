import { existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { bin, capture, exec, PNPM, ROOT } from './exec.mjs'

const STAMP = join(ROOT, 'packages/cli/dist/.tsbuildinfo')
/** What the compiler does not make: without it no fold in LMDB can be opened. */
const BUNDLE = { script: 'packages/store-lmdb/bundle.mjs', makes: 'packages/store-lmdb/dist/lmdb-js.js' }
const SOURCES = ['packages', 'tools', 'examples', 'tsconfig.base.json']

/** Builds every package; quiet when all is well. Ends the process when it fails. */
export async function build() {
  process.stderr.write('building…\n')
  const [program, ...before] = turbo()
  const args = [...before, 'run', 'build', '--output-logs=errors-only', '--no-color']
  const { code, text } = await capture(program, args)
  if (code === 0) return
  process.stderr.write(text)
  process.exit(1)
}

/** turbo looks for pnpm on the PATH, where it is only in what pnpm has started. */
function turbo() {
  const started = (process.env.npm_config_user_agent ?? '').startsWith('pnpm/')
  return started ? [bin('turbo')] : ['npx', '-y', PNPM, 'exec', 'turbo']
}

/** Builds unless nothing changed since the last time: a look at the sources costs a few milliseconds. */
export async function ensureBuilt() {
  if (existsSync(STAMP) && existsSync(join(ROOT, BUNDLE.makes))) {
    const { mtimeMs } = await stat(STAMP)
    if ((await newest(SOURCES)) <= mtimeMs) return
  }
  const code = await exec(bin('tsc'), ['-b', 'packages/cli', 'tools/bench', 'examples'], {
    stdio: ['ignore', 2, 2],
    cwd: ROOT,
  })
  if (code !== 0) process.exit(1)
  const bundled = await exec(process.execPath, [BUNDLE.script], { stdio: ['ignore', 2, 2], cwd: ROOT })
  if (bundled !== 0) process.exit(1)
}

async function newest(paths) {
  const times = await Promise.all(paths.map((path) => newestIn(join(ROOT, path))))
  return Math.max(...times)
}

async function newestIn(path) {
  const facts = await stat(path)
  if (!facts.isDirectory()) return facts.mtimeMs
  const names = await readdir(path)
  const inner = names.filter((name) => !['node_modules', 'dist', 'test', 'reports', '.turbo'].includes(name))
  return Math.max(0, ...(await Promise.all(inner.map((name) => newestFile(join(path, name))))))
}

async function newestFile(path) {
  const facts = await stat(path)
  return facts.isDirectory() ? await newestIn(path) : /\.(ts|json)$/.test(path) ? facts.mtimeMs : 0
}
