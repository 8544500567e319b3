import { readdir } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { build } from './build.mjs'
import { bin, exec, ROOT } from './exec.mjs'
import { checkPackages } from './package-checks.mjs'
import { checkReadmes } from './readme-checks.mjs'
import { checkRepository } from './repository-checks.mjs'
import { runTests } from './test-run.mjs'

/** Everything that has to hold before a change lands; goes on after a failure, and says at the end what failed. */
export async function checkAll() {
  const steps = {
    format: () => tool('oxfmt', ['--check', '.']),
    build: async () => (await build(), 0),
    lint: () => tool('oxlint', ['--type-aware', '--deny-warnings']),
    'test types': checkTestTypes,
    repository: checkRepository,
    readmes: checkReadmes,
    packages: checkPackages,
    tests: () => runTests(),
  }
  const failed = []
  for (const [name, step] of Object.entries(steps)) {
    process.stdout.write(`\n== ${name}\n`)
    if ((await step()) !== 0) failed.push(name)
  }
  process.stdout.write(failed.length === 0 ? '\nall checks passed\n' : `\nfailed: ${failed.join(', ')}\n`)
  return failed.length === 0 ? 0 : 1
}

async function tool(name, args) {
  return await exec(bin(name), args, { cwd: ROOT })
}

async function checkTestTypes() {
  let worst = 0
  for (const group of ['packages', 'tools']) {
    for (const name of await readdir(join(ROOT, group))) {
      const project = join(group, name, 'test')
      if (!existsSync(join(ROOT, project, 'tsconfig.json'))) continue
      worst = Math.max(worst, await tool('tsc', ['-p', project]))
    }
  }
  return worst
}
