import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { slipBatch, temporaryDirectory, type Line, type SlipResult } from './slip.ts'

interface Answer {
  readonly how: string
  readonly bytes: number
  readonly load:
    | { readonly verdict: 'ok'; readonly cursor: string; readonly entries: readonly Line[] }
    | { readonly verdict: 'error'; readonly kind: string }
  readonly append_at?: number
  readonly after_load: 'unchanged' | { readonly sha256: string }
}

const directory = fileURLToPath(new URL('../../store-applog/test/interop/', import.meta.url))
const answers = JSON.parse(await readFile(join(directory, 'expected.json'), 'utf8')) as Record<string, Answer>
const names = Object.keys(answers)
const EMPTY = { verdict: 'ok', cursor: '', entries: [] } as const

/** What the commands have to say; a file that ends in its header is an empty fold for us. */
function expected(name: string): { readonly load: Answer['load']; readonly tornAt: number | undefined } {
  const { load, bytes, append_at: at = bytes } = answers[name]!
  if (name.startsWith('short-')) return { load: EMPTY, tornAt: undefined }
  return { load, tornAt: load.verdict === 'ok' && at < bytes ? at : undefined }
}

describe('the logs of the Rust system', async () => {
  const target = temporaryDirectory()
  const path = (name: string): string => join(directory, name)
  const converted = (name: string): string => join(target, name)
  const results = await slipBatch([
    ['verify', ...names.map(path), '--json'],
    ...names.flatMap((name) => [
      ['dump', `log:${path(name)}`, '--json'],
      ['inspect', path(name), '--json'],
      ['convert', `log:${path(name)}`, `log:${converted(name)}`, '--format', '2', '--json'],
    ]),
  ])
  const verified = results[0]!
  const of = (i: number): readonly [SlipResult, SlipResult, SlipResult] => [
    results[3 * i + 1]!,
    results[3 * i + 2]!,
    results[3 * i + 3]!,
  ]

  test('verify has a line for each, and the exit code of the worst', () => {
    expect([verified.code, verified.stderr]).toEqual([4, ''])
    expect(verified.lines.map((line) => line['path'])).toEqual(names.map(path))
  })

  test.each(names.map((name, i) => [name, answers[name]!.how, i] as const))('%s: %s', async (name, _, i) => {
    const { load, tornAt } = expected(name)
    const [dump, inspect, convert] = of(i)
    const verdict = verified.lines[i]!
    if (load.verdict === 'error') {
      expect(verdict['verdict']).toMatch(/^(?:corrupt|foreign)$/)
      for (const { code, lines } of [dump, inspect, convert]) {
        expect([code, lines]).toEqual([4, [{ error: expect.objectContaining({ code: load.kind }) }]])
      }
      return
    }
    expect(verdict).toMatchObject({
      verdict: tornAt === undefined ? 'intact' : 'torn',
      entries: load.entries.length,
      cursor: load.cursor,
      ...(tornAt === undefined ? {} : { at: tornAt }),
    })
    expect(dump.code).toBe(0)
    expect(dump.lines).toEqual(load.entries.map((entry) => expect.objectContaining({ ...entry })))
    expect(dump.stderr === '').toBe(tornAt === undefined)
    expect(inspect.lines[0]).toMatchObject({ cursor: load.cursor, entries: load.entries.length })
    expect(convert.code, convert.stderr).toBe(0)
    const after = answers[name]!.after_load
    if (after === 'unchanged') return
    const bytes = await readFile(converted(name))
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(after.sha256)
  })
})
