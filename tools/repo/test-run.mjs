import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { bin, exec, ROOT } from './exec.mjs'
import { passApart } from './second-try.mjs'

const GROUPS = ['packages', 'tools']

/** Runs the tests of every package and ends with the line `N passed, N failed` over all of them. */
export async function runTests(turboArgs = [], env = {}) {
  const only = turboArgs.find((arg) => arg.startsWith('--filter='))?.slice('--filter='.length)
  const packages = (await testedPackages()).filter(({ name }) => only === undefined || name === only)
  await Promise.all(packages.map(({ report }) => rm(report, { force: true })))
  const code = await exec(
    bin('turbo'),
    [
      'run',
      'test',
      '--continue',
      '--summarize',
      '--concurrency=1',
      '--log-order=stream',
      '--output-logs=full',
      '--no-color',
      ...turboArgs,
    ],
    { env, cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] },
  )
  const ended = await endedBadly()
  const counts = { passed: 0, failed: 0, skipped: 0 }
  let unstable = 0
  for (const { name, directory, report } of packages) {
    const found = await readReport(report)
    if (found === undefined) {
      process.stdout.write(`${name}: no report, counted as a failure\n`)
      counts.failed++
      continue
    }
    const failed = failures(found)
    if (failed.length === 0 && ended.has(name)) failed.push('ended with an error outside of its tests')
    const apart = failed.length > 0 && (await passApart(directory, found, env))
    counts.passed += found.numPassedTests + (apart ? failed.length : 0)
    counts.failed += apart ? 0 : failed.length
    unstable += apart ? failed.length : 0
    const word = apart ? 'UNSTABLE, passed when nothing else ran' : 'FAILED'
    for (const title of failed) process.stdout.write(`${word} ${name}: ${title}\n`)
    const skipped = found.numPendingTests + found.numTodoTests
    counts.skipped += skipped
    if (skipped > 0)
      process.stdout.write(`${name}: ${skipped} tests SKIPPED (see their output for what is missing)\n`)
  }
  if (code !== 0 && counts.failed === 0 && unstable === 0) counts.failed++
  const failed = counts.failed > 0 || counts.passed === 0
  if (unstable > 0) process.stdout.write(`${unstable} tests UNSTABLE: mend them\n`)
  if (counts.skipped > 0) process.stdout.write(`${counts.skipped} tests SKIPPED in all\n`)
  process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`)
  return failed ? 1 : 0
}

/** The packages that turbo says ended with an exit code other than 0. */
async function endedBadly() {
  const directory = join(ROOT, '.turbo/runs')
  const [newest] = (await readdir(directory).catch(() => []))
    .filter((name) => name.endsWith('.json'))
    .sort()
    .reverse()
  const { tasks = [] } = newest === undefined ? {} : await readJson(join(directory, newest))
  return new Set(
    tasks.filter(({ execution }) => (execution?.exitCode ?? 0) !== 0).map((task) => task.package),
  )
}

async function testedPackages() {
  const found = []
  for (const group of GROUPS) {
    for (const directory of await readdir(join(ROOT, group))) {
      const path = join(ROOT, group, directory)
      const manifest = await readJson(join(path, 'package.json'))
      if (manifest?.scripts?.test === undefined) continue
      found.push({ name: manifest.name, directory: path, report: join(path, 'reports/vitest.json') })
    }
  }
  return found
}

async function readReport(path) {
  return await readJson(path)
}

async function readJson(path) {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  }
}

function failures({ testResults }) {
  return testResults.flatMap(({ name, message, assertionResults }) => {
    const failed = assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName }) => fullName)
    return failed.length === 0 && message ? [`${name.slice(ROOT.length)}: ${message}`] : failed
  })
}
