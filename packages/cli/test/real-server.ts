import { NatsConnection } from '@slip/nats'
import { natsServerOrSkip, startNatsServer, type NatsServer } from '@slip/nats-server'
import type { KvWriter, StoreConfig } from '@slip/kv-core'
import { afterAll, beforeAll } from 'vitest'
import { slip, slipBatch, type SlipResult } from './slip.ts'

export const { skip } = await natsServerOrSkip('2.12')

/** One server for all tests of a file; ask it for anything only inside a test. */
export class RealServer {
  #server: NatsServer | undefined
  #connection: NatsConnection | undefined

  constructor() {
    beforeAll(async () => {
      this.#server = await startNatsServer({ version: '2.12' })
      this.#connection = await NatsConnection.connect({ servers: this.#server.url })
    })
    afterAll(async () => {
      await this.#connection?.close()
      await this.#server?.[Symbol.asyncDispose]()
    })
  }

  get env(): Record<string, string> {
    return { SLIP_SERVER: this.#server!.url }
  }

  /** With `--json`. */
  async run(args: readonly string[], input = ''): Promise<SlipResult> {
    return await slip([...args, '--json'], { env: this.env, input })
  }

  /** Many in one process, each with `--json`. */
  async runAll(commands: readonly (readonly string[])[]): Promise<readonly SlipResult[]> {
    return await slipBatch(
      commands.map((args) => [...args, '--json']),
      this.env,
    )
  }

  async follow(bucket: string, path: string, ...flags: string[]): Promise<SlipResult> {
    return await this.run(['follow', bucket, '--fold', `log:${path}`, '--once', ...flags])
  }

  /** The bucket, made when there is none. */
  async writer(bucket: string, config: StoreConfig = {}): Promise<KvWriter> {
    return (await this.#connection!.store(bucket, config)).writer
  }

  async write(
    bucket: string,
    values: Readonly<Record<string, string>>,
    config?: StoreConfig,
  ): Promise<KvWriter> {
    const writer = await this.writer(bucket, config)
    const puts = Object.entries(values).map(([key, value]) => ({ operation: 'put', key, value }) as const)
    for await (const outcome of writer.bulk(puts)) if ('error' in outcome) throw outcome.error
    return writer
  }

  async deleteBucket(bucket: string): Promise<void> {
    await this.#connection!.deleteBucket(bucket)
  }
}
