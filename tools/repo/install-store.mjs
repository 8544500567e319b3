// The LMDB store as a user gets it: an empty project, default settings, the newest release of each package manager that
// this was tried with; from packed tarballs, and by name from a registry on this machine. Each has to end with 0, run no
// install script, and leave a fold that works. `node tools/repo/install-store.mjs` does it alone.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from './build.mjs'
import { capture, PNPM } from './exec.mjs'
import { localRegistry } from './local-registry.mjs'
import { pack } from './package-checks.mjs'

const NAMES = ['kv-core', 'store-lmdb']
const YARN = ['-y', '@yarnpkg/cli-dist@4.18.1']
const YARN_CLASSIC = ['-y', 'yarn@1.22.22']
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall']
/** What the managers say of scripts that they ran, or would have. */
const SCRIPT_TALK = /ignored build scripts|IGNORED_BUILDS|install scripts|YN000[4-9]|node-gyp/i

const MANAGERS = {
  npm: { add: ['npm', 'install', '--no-audit', '--no-fund'] },
  pnpm: { add: ['npx', '-y', PNPM, 'add'] },
  'yarn classic': { add: ['npx', ...YARN_CLASSIC, 'add'] },
  'yarn (plug and play)': { add: ['npx', ...YARN, 'add'], run: ['npx', ...YARN, 'node'], berry: 'pnp' },
  'yarn (node_modules)': { add: ['npx', ...YARN, 'add'], berry: 'node-modules' },
}

const PROGRAM = `
import { VersionToken, WatchCursor } from '@slip/kv-core'
import { LmdbReader, LmdbSnapshot, verifyLmdb } from '@slip/store-lmdb'
const path = new URL('./fold', import.meta.url).pathname
const store = await LmdbSnapshot.open({ path })
const value = new TextEncoder().encode('10.0.0.1:8080')
const version = VersionToken.fromRevision(1n)
await store.apply([{ operation: 'put', key: 'route.eu.web', value, version }], WatchCursor.fromRevision(1n))
const reader = await LmdbReader.open({ path })
const seen = reader.range('route.').length
await reader.close()
await store.close()
console.log(seen, (await verifyLmdb(path)).verdict)
`

/** Every manager from both places, in `directory`; `packed` says where the tarball of each package is. How many failed. */
export async function installStore(directory, packed) {
  await mkdir(directory, { recursive: true })
  const tarballs = NAMES.map((name) => packed[name])
  const registry = await localRegistry(tarballs)
  let failed = 0
  try {
    for (const [name, manager] of Object.entries(MANAGERS)) {
      const places = { tarballs: { tarballs }, registry: { registry } }
      const trials = Object.entries(places).map(async ([from, place]) => {
        const began = performance.now()
        const found = await tried(await mkdtemp(join(directory, 'project-')), manager, place)
        const took = `${((performance.now() - began) / 1_000).toFixed(1)} s`
        process.stdout.write(`store-lmdb from ${from}, ${name}: ${found ?? `installed and works, ${took}`}\n`)
        return found !== undefined
      })
      failed += (await Promise.all(trials)).filter(Boolean).length
    }
  } finally {
    registry.close()
  }
  return failed
}

/** What went wrong; undefined when nothing. */
async function tried(project, { add, run = [process.execPath], berry }, { tarballs, registry }) {
  await prepare(project, berry, registry)
  const wanted = registry === undefined ? specifiers(tarballs, berry) : NAMES.map((name) => `@slip/${name}`)
  // What started this test must not speak for the managers.
  const env = {
    npm_config_user_agent: '',
    npm_config_registry: process.env.npm_config_registry ?? '',
    INIT_CWD: '',
  }
  if (env.npm_config_registry === '') delete env.npm_config_registry
  const [program, ...args] = add
  const added = await capture(program, [...args, ...wanted], { cwd: project, env })
  if (added.code !== 0) return `the installation ended with ${added.code}\n${added.text}`
  if (SCRIPT_TALK.test(added.text)) return `there is talk of install scripts\n${added.text}`
  const scripted = await withInstallScripts(join(project, 'node_modules'))
  if (scripted.length > 0) return `${scripted.join(', ')} would run an install script`
  const ran = await capture(run[0], [...run.slice(1), 'fold.mjs'], { cwd: project, env })
  if (ran.code !== 0 || !ran.text.includes('1 intact')) return `the fold does not work\n${ran.text}`
  return undefined
}

async function prepare(project, berry, registry) {
  await writeFile(
    join(project, 'package.json'),
    '{ "name": "consumer", "private": true, "type": "module" }\n',
  )
  await writeFile(join(project, 'fold.mjs'), PROGRAM)
  if (registry !== undefined) await writeFile(join(project, '.npmrc'), `@slip:registry=${registry.url}/\n`)
  if (berry === undefined) return
  // An empty lock file says that this is a project of its own.
  await writeFile(join(project, 'yarn.lock'), '')
  const settings = [`nodeLinker: ${berry}`, 'enableGlobalCache: false']
  if (registry !== undefined)
    settings.push(
      'unsafeHttpWhitelist: ["127.0.0.1"]',
      `npmScopes: { slip: { npmRegistryServer: "${registry.url}" } }`,
    )
  await writeFile(join(project, '.yarnrc.yml'), `${settings.join('\n')}\n`)
}

function specifiers(tarballs, berry) {
  return tarballs.map((path, i) => (berry === undefined ? path : `@slip/${NAMES[i]}@file:${path}`))
}

/** Every installed package that a manager would run something of; a binding.gyp is such a script too. */
async function withInstallScripts(directory) {
  const found = []
  for (const entry of await readdir(directory, { recursive: true }).catch(() => [])) {
    if (!/(^|\/)node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(`node_modules/${entry}`)) continue
    const { name, scripts = {}, gypfile } = JSON.parse(await readFile(join(directory, entry), 'utf8'))
    const siblings = await readdir(join(directory, entry, '..'))
    const builds = siblings.includes('binding.gyp') && gypfile !== false
    if (builds || INSTALL_SCRIPTS.some((script) => scripts[script] !== undefined)) found.push(name)
  }
  return found
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await build()
  const scratch = await mkdtemp(join(tmpdir(), 'slip-install-'))
  try {
    const packed = {}
    for (const name of NAMES) packed[name] = await pack(name, scratch)
    process.exitCode = (await installStore(join(scratch, 'projects'), packed)) === 0 ? 0 : 1
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
