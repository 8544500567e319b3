import { readFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { capture, ROOT } from './exec.mjs'

const MOST_CODE_LINES = 300

/** Which packages a package may import: only floors below it. */
const MAY_IMPORT = {
  'kv-core': [],
  memory: ['kv-core'],
  nats: ['kv-core'],
  'store-applog': ['kv-core'],
  'store-lmdb': ['kv-core'],
  export: ['kv-core'],
  conformance: ['kv-core'],
  cli: ['kv-core', 'export', 'memory', 'nats', 'store-applog', 'store-lmdb'],
}

const FORBIDDEN = [
  {
    what: 'an absolute path of a machine',
    pattern: /(^|[^A-Za-z0-9_.])\/(work|farm|home\/[a-z]+|root|Users)\//,
    skip: /tools\/repo\/repository-checks\.mjs$/,
  },
  {
    what: 'an unfinished mark',
    pattern: /\b(TODO|FIXME|XXX)\b/,
    only: /^(packages|tools|examples)\//,
    skip: /repository-checks\.mjs$/,
  },
  {
    what: 'a test that is switched off or alone',
    pattern: /\b(it|test|describe)\.(only|todo)\(/,
    only: /\/test\//,
  },
  {
    what: 'a registry address',
    pattern: /resolved "https?:\/\/|tarball: *https?:\/\/|registry *= *https?:\/\//,
    skip: /repository-checks\.mjs$/,
  },
]

/** What must not be in the tree, and what must: paths, marks, file sizes, floors, links in the documentation. */
export async function checkRepository() {
  const files = (await capture('git', ['ls-files', '--cached', '--others', '--exclude-standard'])).text
    .split('\n')
    .filter((path) => path !== '' && existsSync(join(ROOT, path)))
  const findings = []
  for (const path of files) {
    if (!/\.(ts|mjs|js|json|md|ya?ml)$|(^|\/)run$/.test(path) || /interop|golden|pnpm-lock/.test(path))
      continue
    const text = await readFile(join(ROOT, path), 'utf8')
    for (const { what, pattern, only, skip } of FORBIDDEN) {
      if ((only !== undefined && !only.test(path)) || skip?.test(path)) continue
      const line = text.split('\n').findIndex((candidate) => pattern.test(candidate))
      if (line >= 0) findings.push(`${path}:${line + 1}: ${what}`)
    }
    findings.push(...sizeFindings(path, text), ...floorFindings(path, text), ...linkFindings(path, text))
  }
  for (const finding of findings) process.stdout.write(`${finding}\n`)
  return findings.length === 0 ? 0 : 1
}

function sizeFindings(path, text) {
  if (!/^(packages|tools)\/.*\/src\/.*\.ts$/.test(path)) return []
  const code = text.split('\n').filter((line) => !/^\s*(\/\/|\*|\/\*|$)/.test(line)).length
  return code > MOST_CODE_LINES ? [`${path}: ${code} lines of code, more than ${MOST_CODE_LINES}`] : []
}

function floorFindings(path, text) {
  const own = /^packages\/([^/]+)\/src\//.exec(path)?.[1]
  if (own === undefined) return []
  const imported = [...text.matchAll(/from '@slip\/([^'/]+)[^']*'/g)].map((match) => match[1])
  return imported
    .filter((name) => name !== own && !MAY_IMPORT[own].includes(name))
    .map((name) => `${path}: @slip/${own} may not import @slip/${name}`)
}

function linkFindings(path, text) {
  if (!path.endsWith('.md')) return []
  return [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
    .map((match) => match[1])
    .filter((target) => !existsSync(join(ROOT, normalize(join(dirname(path), target)))))
    .map((target) => `${path}: the link to ${target} leads nowhere`)
}
