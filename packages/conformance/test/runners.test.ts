import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { storeCases, sourceCases, type StoreSuite } from '@slip/conformance'
import { afterAll, expect, test } from 'vitest'
import { compileTests } from './compile.ts'
import { referenceSourceSuite, referenceSuite } from './reference-suite.ts'

const compiled = await compileTests('runners')
const command = fileURLToPath(new URL('../dist/main.js', import.meta.url))

afterAll(() => compiled.remove())

test('both suites pass under node:test', { timeout: 120_000 }, async () => {
  const file = join(compiled.directory, 'by-node-test.mjs')
  await writeFile(
    file,
    `import { test } from 'node:test'
     import { runSourceConformance, runStoreConformance } from '@slip/conformance'
     import { referenceSourceSuite, referenceSuite } from './reference-suite.js'
     runStoreConformance(test, referenceSuite({ childModule: new URL('./reference-store.js', import.meta.url) }))
     runSourceConformance(test, referenceSourceSuite())`,
  )
  const { code, stdout } = await run(['--test', '--test-reporter=tap', file])
  expect(code, stdout.slice(-4_000)).toBe(0)
  const registered = storeCases(referenceSuite({})).length + sourceCases(referenceSourceSuite()).length
  expect(stdout).toMatch(new RegExp(`^# tests ${registered}$`, 'm'))
  expect(stdout).toMatch(/^# fail 0$/m)
})

test('the command prints a line a case and a scorecard, and exits 0 when nothing failed', async () => {
  const { code, stdout } = await runCommand('referenceSuite({})')
  expect(code, stdout.slice(-2_000)).toBe(0)
  expect(stdout).toContain('passed    reads/get: ')
  expect(stdout).toMatch(/skipped +durability\/unsynced-tail: .*\n.*childModule/)
  expect(stdout).toMatch(/\n\d+ passed, 0 failed, \d+ skipped, 0 known gaps\n$/)
})

test('the command names what failed and exits 1', async () => {
  const { code, stdout } = await runCommand(
    `referenceSuite({ spoil: brokenStores.find(({ caughtBy }) => caughtBy === 'reads/get-many').spoil })`,
  )
  expect(code).toBe(1)
  expect(stdout).toContain('failed    reads/get-many: ')
  expect(stdout).toMatch(/\n\d+ passed, [12] failed, /)
})

test('the command explains itself without a module or a suite', async () => {
  expect(await run([command])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('usage: slip-conformance'),
  })
  expect(await run([command, join(compiled.directory, 'override.js')])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('exports no suite'),
  })
})

test('a known gap must fail, and an unknown one is refused', async () => {
  const gaps = (id: string): StoreSuite => ({ ...referenceSuite({}), knownGaps: { [id]: 'not done' } })
  const passing = storeCases(gaps('reads/get')).find(({ id }) => id === 'reads/get')
  await expect(passing!.run()).rejects.toThrow('delete it from knownGaps')
  expect(() => storeCases(gaps('reads/nothing'))).toThrow(RangeError)
})

test('ids are unique and every case belongs to one of the sixteen promises', () => {
  for (const cases of [storeCases(referenceSuite({})), sourceCases(referenceSourceSuite())]) {
    expect(new Set(cases.map(({ id }) => id)).size).toBe(cases.length)
    for (const { promise } of cases) expect(promise).toSatisfy((n: number) => n >= 1 && n <= 16)
  }
})

async function runCommand(suite: string): ReturnType<typeof run> {
  const file = join(compiled.directory, `suite-${Math.random().toString(36).slice(2)}.mjs`)
  await writeFile(
    file,
    `import { brokenStores } from './broken-stores.js'
     import { referenceSuite } from './reference-suite.js'
     export const suite = ${suite}
     void brokenStores`,
  )
  return run([command, file])
}

function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { maxBuffer: 2 ** 24 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}
