import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { countFrom, RawJetStream } from '@slip/acceptance'
import { NatsConnection, type NatsStore } from '@slip/nats'
import { natsServerOrSkip, startNatsServer } from '@slip/nats-server'
import { expect, test } from 'vitest'

const KEYS = countFrom('SLIP_REBUILT_KEYS', 200_000)
const BESIDES_BYTES = 200e6
const VALUE_BYTES = 200
const BUCKET = 'rebuilt'
const LEAVING = 'route.7'
const CHANGING = 'route.11'
const CHILD = fileURLToPath(new URL('rebuild-child.mjs', import.meta.url))
const { skip } = await natsServerOrSkip('2.12')

interface Rebuilt {
  /** Bytes resident before the fold, with it, at most while it was built anew, and at the end. */
  readonly base: number
  readonly before: number
  readonly peak: number
  readonly after: number
  readonly entries: number
  readonly states: readonly { readonly state: string; readonly reason?: string }[]
  readonly seen: {
    readonly mixed: number
    readonly back: number
    readonly duringRebuild: number
    readonly longestTurnMs: number
  }
}

type Message = { readonly ready: number } | { readonly rebuilding: string } | { readonly done: Rebuilt }

test.skipIf(skip || process.platform !== 'linux')(
  'a rebuild holds the new fold beside the old one and no set of keys; readers see the old one until the swap',
  { timeout: 120_000 + KEYS },
  async () => {
    await using server = await startNatsServer({ version: '2.12' })
    await using connection = await NatsConnection.connect({ servers: server.url })
    const bucket = await connection.store(BUCKET, { history: 1 })
    await using raw = await RawJetStream.connect(server.url)
    const vanish = { filter: `$KV.${BUCKET}.${LEAVING}` }
    await fill(bucket)
    const directory = await mkdtemp(join(tmpdir(), 'slip-acceptance-'))
    try {
      const child = fork(CHILD, [BUCKET, server.url, join(directory, 'fold.slip'), LEAVING, CHANGING], {
        execArgv: ['--expose-gc'],
      })
      let rebuilt: Rebuilt | undefined
      child.on('message', (message: Message) => {
        if ('ready' in message) void raw.api(`STREAM.PURGE.KV_${BUCKET}`, vanish)
        else if ('rebuilding' in message) void bucket.writer.put(CHANGING, Buffer.from('changed'))
        else rebuilt = message.done
      })
      const [code] = (await once(child, 'exit')) as [number | null]
      expect(code).toBe(0)
      const { base, before, peak, after, entries, states, seen } = rebuilt!
      const mb = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`
      const besides = peak - before - (before - base)
      console.log(
        `rebuild of ${entries} keys: the fold takes ${mb(before - base)}; while it was built anew at most ${mb(peak - before)} more, ${mb(besides)} besides a second fold; ${mb(after - base)} afterwards; a reader was late by ${Math.round(seen.longestTurnMs)} ms at most, ${seen.duringRebuild} looks at the old fold meanwhile`,
      )
      expect(entries).toBe(KEYS - 1)
      expect(states.filter(({ state }) => state === 'resyncing')).toMatchObject([{ reason: 'countMismatch' }])
      expect(seen).toMatchObject({ mixed: 0, back: 0 })
      expect(seen.duringRebuild).toBeGreaterThan(0)
      expect(besides).toBeLessThan(BESIDES_BYTES)
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  },
)

async function fill(bucket: NatsStore): Promise<void> {
  const value = Buffer.alloc(VALUE_BYTES, 'v')
  function* puts(): Generator<{ operation: 'put'; key: string; value: Uint8Array }> {
    for (let i = 0; i < KEYS; i++) yield { operation: 'put', key: `route.${i}`, value }
  }
  for await (const outcome of bucket.writer.bulk(puts())) if ('error' in outcome) throw outcome.error
}
