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
    `import { describe, test } from 'node:test'
     import { runSourceConformance, runStoreConformance } from '@slip/conformance'
     import { referenceSourceSuite, referenceSuite } from './reference-suite.js'
     const childModule = new URL('./reference-store.js', import.meta.url)
     describe('side by side', { concurrency: 8 }, () => {
       runStoreConformance(test, referenceSuite({ childModule }))
       runSourceConformance(test, referenceSourceSuite())
     })`,
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

test('wrong usage and a module that is no suite exit 2 and say why', async () => {
  const wrong: [string[], string][] = [
    [[], 'usage: slip-conformance'],
    [['--kills', '0', 'a.js'], '--kills takes a whole number above 0'],
    [['--colour', 'a.js'], "'--colour'"],
    [['a.js', 'b.js'], 'one MODULE is needed'],
    [[join(compiled.directory, 'nothing.js')], 'there is no such file'],
    [[join(compiled.directory, 'override.js')], 'exports no suite'],
    [['--only', 'reads/nothing', join(compiled.directory, 'reference-store.js')], 'no case reads/nothing'],
  ]
  for (const [args, said] of wrong)
    expect(await run([command, ...args]), args.join(' ')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining(said),
    })
  expect(await run([command, '--help'])).toMatchObject({ code: 0, stderr: '' })
})

test('a module that makes a location from a path is suite enough; cases, seed and counts can be chosen', async () => {
  const store = join(compiled.directory, 'reference-store.js')
  const listed = await run([command, '--list', store])
  expect(listed.stdout).toContain('durability/unsynced-tail: ')
  expect(listed.code).toBe(0)
  const options = ['--only', 'reads/', '--only', 'durability/unsynced', '--kills', '2', '--seed', '77']
  const { code, stdout } = await run([command, ...options, store])
  expect(code, stdout).toBe(0)
  expect(stdout).toMatch(/^ *1\/\d+ passed +reads\//)
  expect(stdout).toContain('\n  seed 77\n')
  expect(stdout).toContain('\n  done: 2 kills\n')
  const json = (await run([command, '--json', '--only', 'cursor/never-ahead', store])).stdout
    .trim()
    .split('\n')
  expect(json.map((each) => JSON.parse(each) as unknown)).toMatchObject([
    { id: 'cursor/never-ahead', outcome: 'passed' },
    { ok: true, counts: { passed: 1, failed: 0, skipped: 0, 'known gap': 0 }, counted: {} },
  ])
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
