import { runSourceConformance } from '@slip/conformance'
import { NatsConnection, natsBucket } from '@slip/nats'
import { natsServerOrSkip, SERVER_MATRIX, startNatsServer, type NatsServer } from '@slip/nats-server'
import { afterAll, beforeAll, describe, test } from 'vitest'

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)
  const ttl = version !== '2.10'

  describe.skipIf(skip)(`the source suite on nats-server ${version}`, () => {
    let server: NatsServer
    let buckets = 0
    beforeAll(async () => {
      server = await startNatsServer({ version })
    })
    afterAll(() => server.stop())

    runSourceConformance(test.concurrent, {
      create: async () => {
        const name = `conformance_${++buckets}`
        const connection = await NatsConnection.connect({ servers: server.url })
        const store = await connection.store(name, ttl ? { markerTtlMs: 60_000 } : {})
        return {
          source: natsBucket(name, { servers: server.url }),
          store,
          destroy: async () => {
            await connection.deleteBucket(name)
            await connection.close()
          },
        }
      },
      features: { ttl, purge: true, compareAndSwap: true, prefixes: true, describe: true, history: true },
    })
  })
}
