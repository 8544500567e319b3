import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The repository's root, where every job runs. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The release of pnpm this repository is made with, as npx takes it. */
export const PNPM = 'pnpm@12.21.0'

/** Runs a program to its end and resolves with its exit code; output goes where ours goes. */
export async function exec(program, args, { env = {}, stdio = 'inherit', cwd } = {}) {
  // A command started by `pnpm slip` keeps the directory the user stands in, so that relative paths mean what they say.
  const child = spawn(program, args, {
    cwd: cwd ?? process.env.INIT_CWD ?? ROOT,
    stdio,
    env: { ...process.env, ...env },
  })
  const pass = (signal) => child.kill(signal)
  // A terminal signals the whole group already; a supervisor signals only us.
  process.on('SIGTERM', pass)
  if (!process.stdin.isTTY) process.on('SIGINT', pass)
  else process.on('SIGINT', () => undefined)
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)))
  })
}

/** The same with its output kept. */
export async function capture(program, args, { env = {}, cwd = ROOT } = {}) {
  const child = spawn(program, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let text = ''
  child.stdout.on('data', (chunk) => (text += chunk))
  child.stderr.on('data', (chunk) => (text += chunk))
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { code, text }
}

/** A program of the workspace's own dependencies. */
export function bin(name) {
  return fileURLToPath(new URL(`../../node_modules/.bin/${name}`, import.meta.url))
}
