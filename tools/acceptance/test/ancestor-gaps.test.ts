import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const GAPS: readonly string[] = [...numbered('L', 46, 2), ...numbered('D', 8, 1)]
const LATER = 'not in this version'
const table = await readFile(`${ROOT}docs/ancestor-gaps.md`, 'utf8')

test('each gap stands there once, in order', () => {
  expect(rowsOf(table).map(([gap]) => gap)).toEqual(GAPS)
})

describe('the tests that show a gap closed are there', () => {
  test.each(rowsOf(table).map((cells) => [cells[0]!, cells] as const))('%s', async (_gap, cells) => {
    expect(await findings(cells)).toEqual([])
  })
})

test('a row that names nothing, or what is not there, is found', async () => {
  const own = 'tools/acceptance/test/ancestor-gaps.test.ts'
  const title = 'each gap stands there once, in order'
  expect(await findings(['L-01', 'cursor', 'wrong', 'right', `\`${own}\`: "${title}"`])).toEqual([])
  for (const [row, finding] of [
    ['', 'names no test'],
    ['—', 'names no test'],
    [`\`${own}\``, `names no test of ${own}`],
    [`\`tools/none.test.ts\`: "${title}"`, 'there is no tools/none.test.ts'],
    [`\`${own}\`: "${title}", "${title}r"`, `${own} has no "${title}r"`],
    [`\`${own}\`: "${title.slice(0, -1)}"`, `${own} has no "${title.slice(0, -1)}"`],
  ])
    expect(await findings(['L-01', 'cursor', 'wrong', 'right', row!])).toEqual([finding])
})

/** The cells of each row about a gap. */
function rowsOf(text: string): readonly (readonly string[])[] {
  const rows = text.split('\n').filter((line) => /^\| *[LD]-\d/.test(line))
  return rows.map((row) =>
    row
      .slice(1, row.lastIndexOf('|'))
      .split('|')
      .map((cell) => cell.trim()),
  )
}

/** What is wrong with a row: it has to name tests that are there, by file and title, or be of a later version. */
async function findings([, , , what = '', shownBy = '']: readonly string[]): Promise<readonly string[]> {
  const files = shownBy.split('<br>').filter((text) => text.startsWith('`'))
  if (files.length === 0) return what.endsWith(LATER) ? [] : ['names no test']
  const found = await Promise.all(
    files.map(async (text) => {
      const [, path = '', titles = ''] = /^`([^`]+)`(?:: (.*))?$/s.exec(text.trim()) ?? []
      if (!existsSync(ROOT + path)) return [`there is no ${path}`]
      const named = [...titles.matchAll(/"([^"]+)"(?:, |$)/g)].map(([, title]) => title!)
      if (named.length === 0) return [`names no test of ${path}`]
      const source = await readFile(ROOT + path, 'utf8')
      return named.filter((title) => !hasTitle(source, title)).map((title) => `${path} has no "${title}"`)
    }),
  )
  return found.flat()
}

/** A title stands in a source as a literal, in whichever quotes. */
function hasTitle(source: string, title: string): boolean {
  return ["'", '"', '`'].some((quote) => source.includes(`${quote}${title}${quote}`))
}

function numbered(letter: string, count: number, digits: number): string[] {
  return Array.from({ length: count }, (_, i) => `${letter}-${String(i + 1).padStart(digits, '0')}`)
}
