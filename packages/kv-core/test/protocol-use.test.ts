import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { protocol } from '@slip/kv-core'
import { expect, test } from 'vitest'

const packages = join(import.meta.dirname, '../..')

/** The text of each source file that ships, by its path below `packages`. */
async function shipped(): Promise<Map<string, string>> {
  const texts = new Map<string, string>()
  for (const name of await readdir(packages)) {
    const root = join(packages, name, 'src')
    for (const file of await readdir(root, { recursive: true }).catch(() => []))
      if (file.endsWith('.ts')) {
        const path = join(root, file)
        texts.set(relative(packages, path), await readFile(path, 'utf8'))
      }
  }
  return texts
}

const KERNELS = 'kv-core/src/protocol/'

test('each decision of the table is asked for in production', async () => {
  const others = [...(await shipped())].filter(([path]) => !path.startsWith(KERNELS)).map(([, text]) => text)
  for (const name of Object.keys(protocol))
    expect(
      others.some((text) => text.includes(`protocol.${name}(`)),
      name,
    ).toBe(true)
})

test('nothing asks past the table, and the table has no clock, promise or input of its own', async () => {
  const texts = await shipped()
  expect(texts.size).toBeGreaterThan(100)
  for (const [path, text] of texts)
    if (path.startsWith(KERNELS))
      expect(text, path).not.toMatch(/\b(?:Date\.|performance\.|Math\.random|await|async|Promise|node:)/)
    else
      for (const [line] of text.matchAll(/^import (?!type\b)[^']*? from '[^']*\/protocol\/[^']*'$/gm))
        expect(line, path).toMatch(/^import \{ protocol \} from '(?:\.\.?\/)+protocol\/protocol\.ts'$/)
})
