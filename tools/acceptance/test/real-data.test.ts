import { mkdtemp, rm } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { countFrom, listBucket, slip } from '@slip/acceptance'
import { natsServerOrSkip, startNatsServer } from '@slip/nats-server'
import { expect, test } from 'vitest'

const DATASET = fileURLToPath(new URL('../../datasets/package-index.mjs', import.meta.url))
const ENTRIES = countFrom('SLIP_DATASET_ENTRIES', 3_000)

const { skip } = await natsServerOrSkip('2.12')

test.skipIf(skip)(
  'public data of this machine loads, folds without a difference, and restarts with exactly what changed',
  { timeout: 300_000 },
  async () => {
    await using server = await startNatsServer({ version: '2.12' })
    const directory = await mkdtemp(join(tmpdir(), 'slip-acceptance-'))
    try {
      const at = ['--server', server.url]
      const fold = `log:${join(directory, 'packages.slip')}`
      const ndjson = await dataset(ENTRIES)
      const entries = ndjson.trimEnd().split('\n').length
      expect(entries).toBeGreaterThan(100)
      process.stdout.write(`data set: ${entries} entries, ${(ndjson.length / 1e6).toFixed(1)} MB of NDJSON\n`)

      const loaded = await slip(['load', 'packages', '-', ...at], { input: ndjson })
      expect(loaded).toMatchObject({ code: 0 })
      expect(loaded.lines.at(-1)).toMatchObject({ loaded: entries, failed: 0 })

      const followed = await slip(['follow', 'packages', '--fold', fold, '--once', ...at])
      expect(followed.code, followed.stderr).toBe(0)
      expect(followed.lines.at(-1)).toMatchObject({
        done: true,
        reason: 'caughtUp',
        delivered: entries,
        entries,
      })

      const diff = await slip(['diff', fold, 'packages', ...at])
      expect(diff.code, diff.stdout.slice(0, 2_000)).toBe(0)
      expect(diff.lines.at(-1)).toMatchObject({ equal: true, missing: 0, extra: 0, different: 0 })

      const dump = await slip(['dump', fold])
      const listed = await listBucket(server.url, 'packages')
      const dumped = new Map(
        dump.lines.map((line) => [line['key'], { value: line['value'], revision: line['revision'] }]),
      )
      expect(dumped.size).toBe(entries)
      expect(dumped).toEqual(listed)

      const changes = 17
      for (let i = 0; i < changes; i++) {
        const key = i % 2 === 0 ? (dump.lines[i]!['key'] as string) : `added.key-${i}`
        const wrote =
          i % 4 === 0
            ? await slip(['del', 'packages', key, ...at])
            : await slip(['put', 'packages', key, `new ${i}`, ...at])
        expect(wrote.code, wrote.stderr).toBe(0)
      }
      const again = await slip(['follow', 'packages', '--fold', fold, '--once', ...at])
      expect(again.lines.at(-1)).toMatchObject({ done: true, delivered: changes, relisted: 0 })
      expect((await slip(['diff', fold, 'packages', ...at])).code).toBe(0)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  },
)

async function dataset(limit: number): Promise<string> {
  const child = spawn(process.execPath, [DATASET, '--limit', String(limit)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const chunks: Buffer[] = []
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
