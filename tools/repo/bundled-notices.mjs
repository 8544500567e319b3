import { existsSync } from 'node:fs'
import { readdir, readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { capture, ROOT } from './exec.mjs'

const NOTICES = 'dist/THIRD-PARTY.txt'
/** How a notice begins: name, version, licence. */
const NOTICE = /^((?:@[\w.-]+\/)?[\w.-]+) (\d+\.\d+\.\d+\S*) \(.+\)$/gm

/**
 * What is wrong with the notices of code by others in a tarball. `bundle.mjs` writes one for each package that a module
 * of the bundle comes from; here they are compared with what is installed: the version, the whole text of the licence,
 * and of the NOTICE where there is one.
 */
export async function bundledNotices(name, tarball, listed) {
  if (!existsSync(join(ROOT, 'packages', name, 'bundle.mjs'))) return []
  if (!listed.includes(NOTICES)) return [`${name}: it has a bundle, and no ${NOTICES}`]
  const notices = await fileIn(tarball, NOTICES)
  const findings = []
  const named = [...notices.matchAll(NOTICE)]
  if (named.length === 0) findings.push(`${name}: ${NOTICES} names no package`)
  for (const [, from, stated] of named) {
    const directory = await directoryOf(name, from)
    if (directory === undefined) {
      findings.push(`${name}: ${from} is bundled, and where it came from is not found`)
      continue
    }
    const { version } = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8'))
    if (version !== stated) findings.push(`${name}: ${NOTICES} says ${from} ${stated}, bundled is ${version}`)
    const texts = (await readdir(directory)).filter((file) =>
      /^(licen[cs]e|notice)(\.(md|txt))?$/i.test(file),
    )
    if (texts.length === 0) findings.push(`${name}: ${from} is bundled and has no licence`)
    for (const file of texts)
      if (!notices.includes((await readFile(join(directory, file), 'utf8')).trim()))
        findings.push(`${name}: ${NOTICES} lacks the ${file} of ${from}`)
  }
  return findings
}

/** Where a package is that `name` depends on, or something below it. */
async function directoryOf(name, wanted) {
  const store = join(ROOT, 'node_modules/.pnpm')
  const own = await realpath(join(ROOT, 'packages', name, 'node_modules', wanted)).catch(() => undefined)
  if (own !== undefined) return own
  const prefix = `${wanted.replace('/', '+')}@`
  const found = (await readdir(store)).filter((entry) => entry.startsWith(prefix))
  return found.length === 1 ? join(store, found[0], 'node_modules', wanted) : undefined
}

async function fileIn(tarball, path) {
  return (await capture('tar', ['-xzOf', tarball, `package/${path}`])).text
}
