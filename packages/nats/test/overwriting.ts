import type { ConnectionOptions } from '@nats-io/nats-core'
import { connect } from '@nats-io/transport-node'

const IN_FLIGHT = 100

/** Runs `work` while two connections overwrite these subjects at random, each with many writes in flight. */
export async function whileOverwriting(
  server: { readonly url: string },
  subjects: readonly string[],
  work: () => Promise<void>,
  options: ConnectionOptions = {},
): Promise<void> {
  const writing = { on: true }
  const writers = Array.from({ length: 2 }, async () => {
    const connection = await connect({ ...options, servers: server.url })
    const write = async (): Promise<unknown> =>
      await connection.request(subjects[Math.floor(Math.random() * subjects.length)]!, 'y'.repeat(200), {
        timeout: 20_000,
      })
    while (writing.on) await Promise.all(Array.from({ length: IN_FLIGHT }, write))
    await connection.close()
  })
  try {
    await work()
  } finally {
    writing.on = false
    await Promise.all(writers)
  }
}
