import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundledNotices } from './bundled-notices.mjs'
import { bin, capture, PNPM, ROOT } from './exec.mjs'

const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'prepare']

/** Packs every public package and checks the tarballs as a consumer would meet them. */
export async function checkPackages() {
  const scratch = await mkdtemp(join(tmpdir(), 'slip-pack-'))
  const findings = []
  try {
    for (const name of await readdir(join(ROOT, 'packages')))
      findings.push(...(await checkPackage(name, scratch)))
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  for (const finding of findings) process.stdout.write(`${finding}\n`)
  if (findings.length === 0)
    process.stdout.write('every tarball passes publint, attw and the content check\n')
  return findings.length === 0 ? 0 : 1
}

/** The tarball of one package, packed into `directory`. */
export async function pack(name, directory) {
  const before = new Set(await readdir(directory))
  const cwd = join(ROOT, 'packages', name)
  const { code, text } = await capture('npx', ['-y', PNPM, 'pack', '--pack-destination', directory], { cwd })
  if (code !== 0) throw new Error(`packing ${name}: ${text}`)
  const tarball = (await readdir(directory)).find((file) => file.endsWith('.tgz') && !before.has(file))
  if (tarball === undefined) throw new Error(`packing ${name} left no tarball: ${text}`)
  return join(directory, tarball)
}

async function checkPackage(name, scratch) {
  const tarball = await pack(name, scratch)
  const findings = []
  const tools = { publint: ['run', tarball, '--strict'], attw: [tarball, '--profile', 'esm-only'] }
  for (const [tool, args] of Object.entries(tools)) {
    const { code, text } = await capture(bin(tool), args)
    if (code !== 0) findings.push(`${name}: ${tool}\n${text}`)
  }
  const listed = (await capture('tar', ['-tzf', tarball])).text
    .split('\n')
    .map((path) => path.replace('package/', ''))
  for (const wanted of ['LICENSE', 'README.md', 'package.json', 'dist/index.js', 'dist/index.d.ts'])
    if (!listed.includes(wanted)) findings.push(`${name}: the tarball lacks ${wanted}`)
  for (const path of listed)
    if (/^(src|test|bench)\/|\.test\.|\.tsbuildinfo$|vitest/.test(path))
      findings.push(`${name}: the tarball has ${path}`)
  const manifest = JSON.parse((await capture('tar', ['-xzOf', tarball, 'package/package.json'])).text)
  if (JSON.stringify(manifest).includes('workspace:'))
    findings.push(`${name}: workspace: is left in the manifest`)
  for (const script of INSTALL_SCRIPTS)
    if (manifest.scripts?.[script] !== undefined) findings.push(`${name}: has the install script ${script}`)
  findings.push(...(await bundledNotices(name, tarball, listed)))
  const source = JSON.parse(await readFile(join(ROOT, 'packages', name, 'package.json'), 'utf8'))
  if (name !== 'kv-core' && name !== 'cli' && source.peerDependencies?.['@slip/kv-core'] === undefined)
    findings.push(`${name}: @slip/kv-core must be a peer dependency`)
  return findings
}
