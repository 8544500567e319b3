// What a release would do, without publishing: versions from the changesets in a copy, tarballs of every package,
// an empty project for npm and one for pnpm, and the first example of the README run from what was installed. Then the
// LMDB store, whose library declares install scripts, with every package manager: see install-store.mjs.
// Usage: node tools/repo/release-rehearsal.mjs
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from './build.mjs'
import { capture, PNPM, ROOT } from './exec.mjs'
import { installStore } from './install-store.mjs'
import { pack } from './package-checks.mjs'

await build()
const scratch = await mkdtemp(join(tmpdir(), 'slip-rehearsal-'))
try {
  await rehearseVersions()
  const tarballs = join(scratch, 'tarballs')
  await mkdir(tarballs)
  const packed = {}
  for (const name of await readdir(join(ROOT, 'packages'))) packed[name] = await pack(name, tarballs)
  for (const manager of ['npm', 'pnpm']) await installAndRun(manager, packed)
  const failures = await installStore(join(scratch, 'store'), packed)
  if (failures > 0) process.exitCode = 1
} finally {
  await rm(scratch, { recursive: true, force: true })
}

async function rehearseVersions() {
  const copy = join(scratch, 'copy')
  await cp(ROOT, copy, {
    recursive: true,
    filter: (path) => !/node_modules|\/dist(\/|$)|\/\.git(\/|$)/.test(path),
  })
  await must(await capture('git', ['init', '-q', copy]), 'git init')
  const changeset = join(ROOT, 'node_modules/@changesets/cli/bin.js')
  await must(await capture(process.execPath, [changeset, 'version'], { cwd: copy }), 'changeset version')
  for (const name of await readdir(join(copy, 'packages'))) {
    const { version } = JSON.parse(await readFile(join(copy, 'packages', name, 'package.json'), 'utf8'))
    process.stdout.write(`@slip/${name} ${version}\n`)
  }
}

async function installAndRun(manager, packed) {
  const project = join(scratch, manager)
  await mkdir(project)
  const dependencies = Object.fromEntries(
    Object.entries(packed).map(([name, path]) => [`@slip/${name}`, `file:${path}`]),
  )
  await writeFile(
    join(project, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, type: 'module', dependencies }),
  )
  // Nothing is published yet: what the packages ask of each other is the tarballs too.
  const overrides = Object.entries(dependencies).map(([name, path]) => `  '${name}': '${path}'\n`)
  await writeFile(join(project, 'pnpm-workspace.yaml'), `overrides:\n${overrides.join('')}`)
  const pnpm = ['-y', PNPM, 'install', '--no-frozen-lockfile']
  const installed =
    manager === 'npm'
      ? await capture('npm', ['install', '--no-audit', '--no-fund'], { cwd: project })
      : await capture('npx', pnpm, { cwd: project })
  await must(installed, `${manager} install`)
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8')
  const code = /^```ts\n([\s\S]*?)^```$/m.exec(readme)[1]
  await writeFile(join(project, 'first.mjs'), code)
  const ran = await capture(process.execPath, ['first.mjs'], { cwd: project })
  await must(ran, `the first example, installed with ${manager}`)
  process.stdout.write(`${manager}: installed, and the first example says: ${ran.text.trim()}\n`)
}

async function must({ code, text }, what) {
  if (code === 0) return
  process.stderr.write(`${what} ended with ${code}\n${text}\n`)
  await rm(scratch, { recursive: true, force: true })
  process.exit(1)
}
