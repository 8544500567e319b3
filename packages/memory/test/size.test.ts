import { channel } from 'node:diagnostics_channel'
import type { SliceMessage } from '@slip/kv-core'
import { MemoryConnection } from '@slip/memory'
import { expect, test } from 'vitest'
import { WatchProbe } from './harness.ts'

const KEYS = Number(process.env['SLIP_KEYS'] ?? 100_000)

test(
  `a bucket of ${KEYS} keys is written, listed, counted and watched in short slices`,
  { timeout: 120_000 },
  async () => {
    const slices: SliceMessage[] = []
    const collect = (message: unknown): unknown => slices.push(message as SliceMessage)
    channel('slip:slice').subscribe(collect)
    const store = await new MemoryConnection().store('b', {})
    const timings: Record<string, number> = {}
    const timed = async (name: string, act: () => Promise<void>): Promise<void> => {
      const startedAt = performance.now()
      await act()
      timings[name] = Math.round(performance.now() - startedAt)
    }

    await timed('write', async () => {
      for await (const outcome of store.writer.bulk(puts())) if ('error' in outcome) throw outcome.error
    })
    await timed('list', async () => {
      let listed = 0
      for await (const _ of store.reader.keys()) listed++
      expect(listed).toBe(KEYS)
    })
    await timed('count', async () => {
      expect((await store.watcher.describe({ prefix: 'k' })).keyCount).toBe(BigInt(KEYS))
    })
    await timed('watch', async () => {
      const probe = new WatchProbe(store.watcher)
      let delivered = 0
      for (let caughtUp = false; !caughtUp;) {
        const batch = await probe.next()
        delivered += batch.updates.length
        caughtUp = batch.caughtUp
      }
      expect(delivered).toBe(KEYS)
      await probe.stop()
    })
    channel('slip:slice').unsubscribe(collect)
    const longest = slices.reduce((worst, slice) => (slice.ms > worst.ms ? slice : worst))
    console.log(timings, `longest slice ${longest.ms.toFixed(1)} ms, of ${longest.work}`)
    for (const work of ['memory.bulk', 'memory.listing', 'memory.watch'])
      expect(slices.some((slice) => slice.work === work)).toBe(true)
  },
)

function* puts(): Generator<{ operation: 'put'; key: string; value: Uint8Array }> {
  const value = new Uint8Array(200)
  for (let i = 0; i < KEYS; i++) yield { operation: 'put', key: `k${i}`, value }
}
