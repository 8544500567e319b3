import { type BulkOperation, KvError, type KvStore } from '@slip/kv-core'
import type { NatsConnection } from '@slip/nats'
import { bucketConfig, BUCKET_OPTIONS } from '../bucket/bucket-config.ts'
import { CONNECTION_OPTIONS } from '../bucket/connection-options.ts'
import { driftText } from '../bucket/drift.ts'
import { namingTheRemedy, withConnection, writerOf } from '../bucket/with-bucket.ts'
import type { Command } from '../command/command.ts'
import { EXIT } from '../output/exit-code.ts'
import { unreadable } from '../output/local-file.ts'
import { Progress } from '../output/progress.ts'
import { UsageError } from '../output/usage-error.ts'
import { revisionJson } from '../output/wire.ts'

export const load: Command = {
  name: 'load',
  words: ['BUCKET', 'FILE|-'],
  summary: 'Writes many keys from NDJSON, pipelined.',
  details:
    'A line is {key, value} (base64), {key, text} or {key, json}; a line of slip dump --json is one. The bucket is created unless --no-create. At a bad line it stops and names its number; lines before it stay written. JSON: {loaded, failed, firstRevision, lastRevision, seconds}.',
  options: { 'no-create': { help: 'the bucket must exist' }, ...BUCKET_OPTIONS, ...CONNECTION_OPTIONS },
  exits: [
    '2  wrong usage, a file that cannot be read, a bad line, an invalid key, or a value above a limit',
    '3  the bucket cannot be written',
  ],
  example: 'slip load routes routes.ndjson',
  async run({ words: [name = '', file = ''], options, output }) {
    const config = options.on('no-create') ? undefined : bucketConfig(options)
    const { openInput } = await import('../bucket/input-lines.ts')
    const input = new LoadInput(file, await openInput(file))
    return await withConnection(options, async (connection) => {
      const bucket = await openBucket(connection, name, config)
      const { drift = [] } = bucket
      if (drift.length > 0) output.warn(`bucket ${name} exists with other settings: ${driftText(drift)}`)
      const progress = new Progress(output.quiet)
      const from = performance.now()
      const counts = { loaded: 0, failed: 0 }
      let first: bigint | undefined
      let last: bigint | undefined
      let failure: { readonly error: KvError; readonly line: number } | undefined
      let index = 0
      for await (const outcome of writerOf(bucket).bulk(input.operations())) {
        const line = input.lineOf(index++)
        if ('error' in outcome) {
          counts.failed++
          failure ??= { error: outcome.error, line }
          // A value too large is about its line; anything else would happen to the next line too.
          if (outcome.error.code !== 'ValueTooLarge') input.stop()
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
  badLine: Error | undefined
  readonly #input: AsyncIterable<Uint8Array>
  readonly #file: string
  readonly #lines: number[] = []
  #stopped = false

  constructor(file: string, input: AsyncIterable<Uint8Array>) {
    this.#file = file
    this.#input = input
  }

  stop(): void {
    this.#stopped = true
  }

  lineOf(index: number): number {
    return this.#lines[index] ?? 0
  }

  async *operations(): AsyncGenerator<BulkOperation> {
    const { inputLines, parseInputLine } = await import('../bucket/input-lines.ts')
    try {
      for await (const { text, number } of inputLines(this.#input)) {
        if (this.#stopped) return
        const operation = parseInputLine(text, number)
        this.#lines.push(number)
        yield operation
      }
    } catch (error) {
      this.badLine =
        error instanceof UsageError || KvError.is(error) ? error : unreadable(this.#file, error, 'load')
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
