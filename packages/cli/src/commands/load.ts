import { type BulkOperation, KvError, type KvStore } from '@slip/kv-core'
import type { NatsConnection } from '@slip/nats'
import { bucketConfig, BUCKET_OPTIONS } from '../bucket/bucket-config.ts'
import { CONNECTION_OPTIONS } from '../bucket/connection-options.ts'
import { namingTheRemedy, withConnection, writerOf } from '../bucket/with-bucket.ts'
import type { Command } from '../command/command.ts'
import { EXIT } from '../output/exit-code.ts'
import { Progress } from '../output/progress.ts'
import { UsageError } from '../output/usage-error.ts'
import { revisionJson } from '../output/wire.ts'

export const load: Command = {
  name: 'load',
  words: ['BUCKET', 'FILE|-'],
  summary: 'Writes many keys from NDJSON, pipelined.',
  details:
    'A line is {key, value} (base64), {key, text} or {key, json}. The bucket is created unless --no-create. At a bad line it stops and names its number; lines before it stay written. JSON: {loaded, failed, firstRevision, lastRevision, seconds}.',
  options: { 'no-create': { help: 'the bucket must exist' }, ...BUCKET_OPTIONS, ...CONNECTION_OPTIONS },
  exits: ['2  a bad line or an invalid key', '3  the bucket cannot be written'],
  example: 'slip load routes routes.ndjson',
  async run({ words: [name = '', file = ''], options, output }) {
    return await withConnection(options, async (connection) => {
      const bucket = await openBucket(
        connection,
        name,
        options.on('no-create') ? undefined : bucketConfig(options),
      )
      const progress = new Progress(output.quiet)
      const from = performance.now()
      const counts = { loaded: 0, failed: 0 }
      let first: bigint | undefined
      let last: bigint | undefined
      let failure: { readonly error: KvError; readonly line: number } | undefined
      const input = new LoadInput(file)
      let index = 0
      for await (const outcome of writerOf(bucket).bulk(input.operations())) {
        const line = input.lineOf(index++)
        if ('error' in outcome) {
          counts.failed++
          failure ??= { error: outcome.error, line }
          if (outcome.error.code === 'InvalidKey') input.stop()
          continue
        }
        counts.loaded++
        const { revision } = outcome.version
        first ??= revision
        last = revision ?? last
        progress.update(() => `${counts.loaded} written`)
      }
      progress.clear()
      const seconds = Math.round(performance.now() - from) / 1_000
      await output.answer(
        { ...counts, firstRevision: revisionJson(first), lastRevision: revisionJson(last), seconds },
        `${counts.loaded} written, ${counts.failed} failed, in ${seconds} s`,
      )
      if (input.badLine !== undefined) throw input.badLine
      if (failure !== undefined)
        throw new KvError(failure.error.code, `line ${failure.line}: ${failure.error.message}`, {
          cause: failure.error,
        })
      return EXIT.done
    })
  },
}

/** Turns lines into writes until the first bad one, and remembers which line each write came from. */
class LoadInput {
  badLine: UsageError | undefined
  readonly #file: string
  readonly #lines: number[] = []
  #stopped = false

  constructor(file: string) {
    this.#file = file
  }

  stop(): void {
    this.#stopped = true
  }

  lineOf(index: number): number {
    return this.#lines[index] ?? 0
  }

  async *operations(): AsyncGenerator<BulkOperation> {
    const { inputLines, parseInputLine } = await import('../bucket/input-lines.ts')
    for await (const { text, number } of inputLines(this.#file)) {
      if (this.#stopped) return
      try {
        const operation = parseInputLine(text, number)
        this.#lines.push(number)
        yield operation
      } catch (error) {
        if (!(error instanceof UsageError)) throw error
        this.badLine = error
        return
      }
    }
  }
}

async function openBucket(
  connection: NatsConnection,
  name: string,
  config: ReturnType<typeof bucketConfig> | undefined,
): Promise<KvStore> {
  try {
    return await connection.store(name, config)
  } catch (error) {
    throw namingTheRemedy(error, name)
  }
}
