import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { capture, exec, ROOT } from './exec.mjs'

/** Supported beside the one that is installed; of each its newest release. */
const LINES = ['22', '24', '26']
const CACHE = join(ROOT, 'node_modules/.cache/slip-nodes')
const RUN = fileURLToPath(new URL('run.mjs', import.meta.url))

/** Runs the tests under each supported line of Node, or under those that are named. Other arguments are turbo's. */
export async function testOnNodes(args) {
  const named = args.filter((arg) => /^\d+$/.test(arg))
  const rest = args.filter((arg) => !named.includes(arg))
  let worst = 0
  for (const line of named.length > 0 ? named : LINES) {
    const node = await nodeOf(line)
    const { text } = await capture(node, ['--version'])
    process.stdout.write(`Node ${text.trim()}\n`)
    const env = { PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }
    worst = Math.max(worst, await exec(node, [RUN, 'test', ...rest], { env, cwd: ROOT }))
  }
  return worst
}

/** The binary of a line, from the registry the first time. */
async function nodeOf(line) {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const home = join(CACHE, `${name}-${line}`)
  const binary = join(home, 'package/bin/node')
  const fetching = `${home}.${process.pid}`
  if ((await readdir(home).catch(() => [])).length > 0) return binary
  await mkdir(fetching, { recursive: true })
  try {
    await must('npm', ['pack', `${name}@${line}`, '--silent', '--pack-destination', fetching], name)
    const [tarball] = await readdir(fetching)
    await must('tar', ['-xzf', join(fetching, tarball), '-C', fetching], name)
    await rename(fetching, home)
  } finally {
    await rm(fetching, { recursive: true, force: true })
  }
  return binary
}

async function must(program, args, what) {
  const { code, text } = await capture(program, args)
  if (code !== 0) throw new Error(`${what} cannot be had: ${program} ended with ${code}: ${text}`)
}
