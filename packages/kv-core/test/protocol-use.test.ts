import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { protocol } from '@slip/kv-core'
import { expect, test } from 'vitest'

const source = join(import.meta.dirname, '../src')

async function shipped(): Promise<ReadonlyMap<string, string>> {
  const names = await readdir(source, { recursive: true })
  const files = names.filter((name) => name.endsWith('.ts'))
  return new Map(
    await Promise.all(files.map(async (name) => [name, await readFile(join(source, name), 'utf8')] as const)),
  )
}

const isKernel = (path: string): boolean => path.startsWith('protocol/')

const ASKED_ELSEWHERE = new Set([
  'resumeStart',
  'admitArtifact',
  'publish',
  'prunable',
  'replacedForMs',
  'isPublished',
  'inheritsParts',
  'prunablePart',
  'layersAfter',
  'sealParts',
  'lease',
  'beginsAtNewest',
])

test('the follow loop asks for each decision but the start of a watch, which sources ask for, and those of artifacts and their rounds', async () => {
  const loop = [...(await shipped())].filter(([path]) => !isKernel(path)).map(([, text]) => text)
  for (const name of Object.keys(protocol).filter((each) => !ASKED_ELSEWHERE.has(each)))
    expect(
      loop.some((text) => text.includes(`protocol.${name}(`)),
      name,
    ).toBe(true)
})

test('nothing asks past the table, and the table has no clock, promise or input of its own', async () => {
  const texts = await shipped()
  expect([...texts.keys()].filter(isKernel).length).toBeGreaterThan(Object.keys(protocol).length)
  for (const [path, text] of texts)
    if (isKernel(path))
      expect(text, path).not.toMatch(/\b(?:Date\.|performance\.|Math\.random|await|async|Promise|node:)/)
    else
      for (const [line] of text.matchAll(/^import (?!type\b)[^']*? from '[^']*\/protocol\/[^']*'$/gm))
        expect(line, path).toMatch(/^import \{ protocol \} from '(?:\.\.?\/)+protocol\/protocol\.ts'$/)
})
