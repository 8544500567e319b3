import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('the example of the README runs, ends by itself, and prints what the README says', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const [, example, output] = /```ts\n(.*?)```.*?```\n(.*?)```/s.exec(readme)!
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', example ?? ''],
    {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      timeout: 20_000,
    },
  )
  expect(stdout).toBe(output)
})
