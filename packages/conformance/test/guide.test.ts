import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { guideSteps } from './guide.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const require = createRequire(import.meta.url)
const steps = await guideSteps()
const scratch = await mkdtemp(join(tmpdir(), 'slip-guide-'))
const project = join(scratch, 'my-store')
/** What is not published yet is a tarball, and what the repository has is not fetched again. */
const replacements: Record<string, string> = {
  typescript: `link:${dirname(require.resolve('typescript/package.json'))}`,
  '@types/node': `link:${dirname(require.resolve('@types/node/package.json'))}`,
}

/** Where the pnpm of this repository is; in a project of its own npx refuses to say. */
let pnpmDirectory: string

beforeAll(async () => {
  await mkdir(project)
  const found = await run('npx', ['-y', '-p', 'pnpm@12.21.0', '-c', 'command -v pnpm'], root)
  expect(found.code, found.output).toBe(0)
  pnpmDirectory = dirname(found.output.trim().split('\n').at(-1)!)
  for (const name of ['kv-core', 'conformance']) {
    const to = join(scratch, name)
    await mkdir(to)
    await pnpm(join(root, 'packages', name), ['pack', '--pack-destination', to])
    replacements[`@slip/${name}`] = join(to, (await readdir(to))[0]!)
  }
}, 120_000)

afterAll(() => rm(scratch, { recursive: true, force: true }))

test('the files of the guide are those of the example, to the letter', async () => {
  const files = steps.filter(({ kind, path }) => kind === 'file' && path!.startsWith('src/'))
  expect(files.map(({ path }) => path)).toEqual([
    'src/map-reads.ts',
    'src/process-lock.ts',
    'src/line-store.ts',
  ])
  const example = join(root, 'examples/src/line-store')
  expect((await readdir(example)).toSorted()).toEqual(files.map(({ path }) => path!.slice(4)).toSorted())
  for (const { path, text } of files)
    expect(text, path).toBe(await readFile(join(example, path!.slice(4)), 'utf8'))
})

test('followed word for word the guide gives a store that passes, then one whose cursor comes first, which is caught', async () => {
  const verdicts: Run[] = []
  for (const { kind, path, text } of steps) {
    if (kind === 'file') {
      await mkdir(dirname(join(project, path!)), { recursive: true })
      await writeFile(join(project, path!), text)
    }
    if (kind === 'line') await putBeforeTheLastLineOfApply(join(project, path!), text)
    if (kind !== 'commands') continue
    for (const command of text.trim().split('\n')) {
      const told = await pnpm(project, wordsOf(command))
      if (command.includes('slip-conformance')) verdicts.push(told)
      else expect(told.code, `${command}\n${told.output}`).toBe(0)
    }
  }
  const [sound, cursorFirst] = verdicts
  expect(sound!.code, sound!.output).toBe(0)
  expect(sound!.output).toMatch(/\n\d+ passed, 0 failed, \d+ skipped, 0 known gaps\n/)
  expect(sound!.output).toMatch(/ {2}done: .*\b6 kills/)
  expect(cursorFirst!.code, cursorFirst!.output).toBe(1)
  expect(cursorFirst!.output).toContain('failed    recovery/truncated: ')
}, 300_000)

interface Run {
  readonly code: number
  readonly output: string
}

function wordsOf(command: string): string[] {
  const [program, ...words] = command.split(' ')
  expect(program).toBe('pnpm')
  return words.map((word) => replacements[word] ?? word)
}

async function putBeforeTheLastLineOfApply(path: string, line: string): Promise<void> {
  const source = await readFile(path, 'utf8')
  const last = '    await this.#append({ updates, cursor: cursor.toHex(), lineage })\n'
  expect(source.split(last)).toHaveLength(2)
  await writeFile(path, source.replace(last, line + last))
}

function pnpm(cwd: string, args: readonly string[]): Promise<Run> {
  const path = `${pnpmDirectory}${delimiter}${process.env['PATH'] ?? ''}`
  return run('pnpm', args, cwd, {
    PATH: path,
    // `pnpm init` names its own version, which pnpm would look up again at every call.
    pnpm_config_pm_on_fail: 'ignore',
    SLIP_KILLS: '4',
    SLIP_DAMAGES: '12',
    SLIP_READ_MS: '300',
  })
}

function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Run> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, maxBuffer: 2 ** 24 }
    execFile(program, args, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr })
    })
  })
}
