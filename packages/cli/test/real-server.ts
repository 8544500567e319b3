import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { NatsConnection } from '@slip/nats'
import { natsServerOrSkip, startNatsServer, type NatsServer } from '@slip/nats-server'
import type { KvWriter, StoreConfig } from '@slip/kv-core'
import { afterAll, beforeAll, expect, vi } from 'vitest'
import { linesOf, slip, slipBatch, start, type Line, type SlipResult } from './slip.ts'

export const { skip } = await natsServerOrSkip('2.12')

/** A follower that goes on. */
export interface Following {
  readonly child: ChildProcess
  readonly closed: Promise<[number | null]>
  /** What it has printed, whole lines only. */
  lines(): Line[]
  stderr(): string
  /** Resolves when a line is as it is wanted. */
  seen(wanted: (line: Line) => boolean): Promise<void>
}

const SEEN = { timeout: 55_000, interval: 20 } as const

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

  /** The same without `--once`, into a fold of either kind. */
  following(bucket: string, fold: string, ...flags: string[]): Following {
    const child = start(['follow', bucket, '--fold', fold, '--json', ...flags], { env: this.env })
    let stdout = ''
    let stderr = ''
    child.stdout!.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr!.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    const lines = (): Line[] => linesOf(stdout.slice(0, stdout.lastIndexOf('\n') + 1))
    return {
      child,
      closed: once(child, 'close') as Promise<[number | null]>,
      lines,
      stderr: () => stderr,
      seen: async (wanted) => await vi.waitFor(() => expect(lines().some(wanted)).toBe(true), SEEN),
    }
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
