// What the root scripts run. Each does its own set-up: pnpm has installed what was missing
// (verifyDepsBeforeRun), and this builds first.
import { fileURLToPath } from 'node:url'
import { build, ensureBuilt } from './build.mjs'
import { exec, ROOT } from './exec.mjs'
import { runTests } from './test-run.mjs'

const [job, ...args] = process.argv.slice(2)
const CLI = fileURLToPath(new URL('../../packages/cli/dist/main.js', import.meta.url))
const BENCH = fileURLToPath(new URL('../bench/dist/main.js', import.meta.url))

/**
 * Goes on as the command itself, in the directory the user stands in: exit code and signals are its own. A
 * process between would pass a signal on that the command already has from its group.
 */
async function becomeSlip(words) {
  // Tests of this run beside others, on what was built before them.
  if (process.env.SLIP_BUILD !== 'off') await ensureBuilt()
  process.chdir(process.env.INIT_CWD ?? ROOT)
  process.argv = [process.execPath, CLI, ...words]
  await import(CLI)
}

const jobs = {
  async demo() {
    await becomeSlip(['demo', ...args])
  },
  async slip() {
    await becomeSlip(args)
  },
  async test() {
    await build()
    return await runTests(args)
  },
  async bench() {
    await ensureBuilt()
    return await exec(process.execPath, ['--expose-gc', '--max-old-space-size=16000', BENCH, ...args])
  },
  async soak() {
    const { soak } = await import('./soak.mjs')
    return await soak(args)
  },
  async check() {
    const { checkAll } = await import('./check.mjs')
    return await checkAll()
  },
}

if (!Object.hasOwn(jobs, job ?? '')) {
  process.stderr.write(`usage: node tools/repo/run.mjs ${Object.keys(jobs).join('|')} [arguments]\n`)
  process.exit(2)
}
process.exitCode = await jobs[job]()
