import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { bin, exec, ROOT } from './exec.mjs'

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
      '--concurrency=1',
      '--log-order=stream',
      '--output-logs=full',
      '--no-color',
      ...turboArgs,
    ],
    { env, cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] },
  )
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const { name, report } of packages) {
    const found = await readReport(report)
    if (found === undefined) {
      process.stdout.write(`${name}: no report, counted as a failure\n`)
      counts.failed++
      continue
    }
    counts.passed += found.numPassedTests
    counts.failed += Math.max(
      found.numFailedTests,
      found.numFailedTestSuites > 0 && found.numFailedTests === 0 ? 1 : 0,
    )
    const skipped = found.numPendingTests + found.numTodoTests
    counts.skipped += skipped
    if (skipped > 0)
      process.stdout.write(`${name}: ${skipped} tests SKIPPED (see their output for what is missing)\n`)
    for (const title of failures(found)) process.stdout.write(`FAILED ${name}: ${title}\n`)
  }
  const failed = counts.failed > 0 || code !== 0 || counts.passed === 0
  if (code !== 0 && counts.failed === 0) counts.failed++
  if (counts.skipped > 0) process.stdout.write(`${counts.skipped} tests SKIPPED in all\n`)
  process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`)
  return failed ? 1 : 0
}

async function testedPackages() {
  const found = []
  for (const group of GROUPS) {
    for (const directory of await readdir(join(ROOT, group))) {
      const manifest = await readJson(join(ROOT, group, directory, 'package.json'))
      if (manifest?.scripts?.test === undefined) continue
      found.push({ name: manifest.name, report: join(ROOT, group, directory, 'reports/vitest.json') })
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
