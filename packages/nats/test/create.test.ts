import { setTimeout as sleep } from 'node:timers/promises'
import { NatsConnection } from '@slip/nats'
import { natsServerOrSkip, SERVER_MATRIX, startNatsServer } from '@slip/nats-server'
import { describe, expect, test } from 'vitest'

import { codeOf } from './code-of.ts'

/** A stop signal takes effect when the machine gets to it. */
const STOPPING_MS = 300

for (const version of SERVER_MATRIX) {
  const { skip } = await natsServerOrSkip(version)

  describe.skipIf(skip)(`create on nats-server ${version}`, () => {
    test('is AlreadyExists only where the key exists: a limit, a permission and silence are said as they are', async () => {
      await using server = await startNatsServer({
        version,
        config: `authorization { users: [
          { user: all, password: p },
          { user: some, password: p, permissions: { publish: { deny: ["$KV.b.>"] } } } ] }`,
      })
      const admin = { servers: server.url, user: 'all', password: 'p' }
      await using connection = await NatsConnection.connect(admin)
      await using denied = await NatsConnection.connect({ ...admin, user: 'some' })
      const { writer, reader } = await connection.store('b', { maxValueBytes: 300, maxBytes: 2_000 })
      const live = await writer.put('live', 'v')
      expect(await codeOf(writer.create('live', 'w'))).toBe('AlreadyExists')
      expect(await codeOf(writer.create('absent', 'x'.repeat(400)))).toBe('ValueTooLarge')
      expect(await codeOf((await denied.store('b')).writer.create('live', 'w'))).toBe('PermissionDenied')

      for (let i = 0; (await codeOf(writer.put(`filler.${i}`, 'x'.repeat(90)))) === 'it did not fail'; i++)
        expect(i).toBeLessThan(100)
      expect(await codeOf(writer.create('absent', 'x'.repeat(90)))).toBe('QuotaExceeded')
      expect((await reader.entry('live'))?.version.revision).toBe(live.revision)
      expect(await reader.entry('absent')).toBeUndefined()
    })

    test('whose acknowledgement was lost is OutcomeUnknown, and not the loss to another', async () => {
      await using server = await startNatsServer({ version })
      await using connection = await NatsConnection.connect({ servers: server.url })
      const { writer, reader } = await connection.store('b', {})
      server.freeze()
      await sleep(STOPPING_MS)
      expect(await codeOf(writer.create('k', 'mine', { timeoutMs: 300 }))).toBe('OutcomeUnknown')
      server.thaw()
      await expect
        .poll(async () => new TextDecoder().decode((await reader.entry('k'))?.value), { timeout: 5_000 })
        .toBe('mine')
    })
  })
}
