import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { follow } from '@slip/kv-core'
import { natsBucket, NatsConnection } from '@slip/nats'
import { startNatsServer } from '@slip/nats-server'
import { appendLog } from '@slip/store-applog'
import { controlStalls, saidStalls, stallsOf } from '../measure.ts'
import { keyOf, valueOf } from '../workload.ts'

/** R1 and the growth of it: following buckets of n/4, n/2 and n keys takes time linear in their size. */
export async function followRows(keys: number): Promise<void> {
  await using server = await startNatsServer({ version: '2.12' })
  await using connection = await NatsConnection.connect({ servers: server.url })
  const control = await controlStalls(1_500)
  let before: number | undefined
  // The first, small one is not printed: while it runs the code gets compiled.
  for (const count of [keys / 20, keys / 4, keys / 2, keys].map(Math.floor)) {
    const name = `bench-${count}`
    const bucket = await connection.store(name, { history: 1 })
    const loadFrom = performance.now()
    for await (const outcome of bucket.writer.bulk(puts(count))) if ('error' in outcome) throw outcome.error
    const loadMs = performance.now() - loadFrom
    const directory = await mkdtemp(join(tmpdir(), 'slip-bench-'))
    let ms = 0
    const stalls = await stallsOf(async () => {
      const from = performance.now()
      const fold = await follow({
        source: natsBucket(name, { servers: server.url }),
        store: appendLog({ path: join(directory, 'fold.slip') }),
      })
      await fold.caughtUp()
      ms = performance.now() - from
      if (fold.status.entries !== count) throw new Error(`${fold.status.entries} of ${count} entries`)
      await fold.close()
    })
    await rm(directory, { recursive: true, force: true })
    const growth =
      before === undefined ? '' : `, ${(ms / before).toFixed(2)} times the time for twice the keys`
    if (count >= keys / 4 - 1)
      process.stdout.write(
        `R1   follow a bucket of ${count} keys: ${(ms / 1e3).toFixed(2)} s, ${(count / ms).toFixed(0)} k/s${growth}  |  ${saidStalls(stalls)} beside ${control.p99Ms.toFixed(1)} ms idle  |  R7 bulk write ${(count / loadMs).toFixed(0)} k/s\n`,
      )
    before = count < keys / 4 - 1 ? undefined : ms
    await connection.deleteBucket(name)
  }
}

function* puts(count: number): Generator<{ operation: 'put'; key: string; value: Uint8Array }> {
  for (let i = 0; i < count; i++) yield { operation: 'put', key: keyOf(i), value: valueOf(i) }
}
