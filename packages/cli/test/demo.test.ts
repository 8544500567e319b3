import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { slip, temporaryDirectory } from './slip.ts'

test(
  'demo tells the whole story without a server, in under 20 seconds, and leaves nothing behind',
  { timeout: 60_000 },
  async () => {
    const directory = temporaryDirectory()
    const { code, lines, stderr } = await slip(['demo', '--json'], { env: { TMPDIR: directory } })
    expect([code, stderr]).toEqual([0, ''])
    expect(lines.map(({ step }) => step)).toEqual([
      'source',
      'writes',
      'catchUp',
      'kill',
      'away',
      'restart',
      'prefixRead',
      'compare',
      undefined,
    ])
    const facts = (step: string): Record<string, unknown> => lines.find((line) => line['step'] === step)!
    expect(facts('source')).toMatchObject({ kind: 'embedded' })
    expect(facts('catchUp')['delivered']).toBe(facts('writes')['keys'])
    expect(facts('kill')).toMatchObject({ signal: 'SIGKILL', pid: facts('catchUp')['pid'] })
    expect(facts('restart')['delivered']).toBe(facts('away')['missed'])
    expect(facts('restart')['pid']).not.toBe(facts('kill')['pid'])
    expect(facts('compare')).toMatchObject({ equal: true, compared: facts('writes')['keys'] })
    const summary = lines.at(-1)!
    expect(summary).toMatchObject({ done: true, ok: true, equal: true })
    expect(summary['seconds']).toBeLessThan(20)
    expect(readdirSync(directory)).toEqual([])
  },
)
