import type { ExportRounds } from '@slip/export'
import { follow as followBucket, type Follower } from '@slip/kv-core'
import { CONNECTION_OPTIONS, connectionConfig, connectTimeoutMs } from '../bucket/connection-options.ts'
import { asUsage } from '../bucket/usable-config.ts'
import { namingTheRemedy } from '../bucket/with-bucket.ts'
import type { Command } from '../command/command.ts'
import { caughtUpAndAudited } from '../follow/audited.ts'
import { Ending } from '../follow/ending.ts'
import { repairedText } from '../fold/repaired.ts'
import { FOLLOW_OPTIONS, followOptions } from '../follow/follow-options.ts'
import { giveUpWhenStuck } from '../follow/giving-up.ts'
import { PUBLISH_OPTIONS, publishing } from '../follow/publishing.ts'
import { servedMetrics } from '../metrics/served-metrics.ts'
import { StatusPrinter } from '../follow/status-printer.ts'
import { onStopSignal } from '../follow/stop-signals.ts'
import { EXIT, explain } from '../output/exit-code.ts'

export const follow: Command = {
  name: 'follow',
  words: ['BUCKET'],
  summary: 'Keeps a durable local fold of a bucket in step.',
  details:
    'JSON, a line at each change of state and one a second: {time, state, reason?, cursor, revision, durableRevision, streamLast, lag, entries, applied, delivered, deliveredBytes, relisted, skipped, sessions, verifiedThrough, recovery?, rounds?}; rounds is what --publish did, {state, published, unchanged, superseded, held, failed, last}. States: opening, connecting, catchingUp, live, resyncing, stale, failed, closed; only live claims that the fold is in step. The last line has done and reason (caughtUp or signal). SIGINT and SIGTERM finish the batch in hand and make it durable. Without --once a server that cannot be reached is waited for.',
  options: { ...FOLLOW_OPTIONS, ...PUBLISH_OPTIONS, ...CONNECTION_OPTIONS },
  exits: [
    '3  no such bucket, or access refused; with --once also: the server cannot be reached',
    '4  the fold is not a fold, or belongs to another bucket or scope',
    '5  another writer holds the fold',
    '6  the fold fell behind and may not be repaired',
  ],
  example: 'slip follow routes --fold log:./routes.slip',
  async run({ words: [bucket = ''], options, output }) {
    const once = options.on('once')
    const settings = await followOptions(options, bucket)
    const publish = await publishing(options, bucket)
    const config = await connectionConfig(options)
    const timeoutMs = connectTimeoutMs(options)
    const { natsBucket } = await import('@slip/nats')
    const ended = new Ending()
    const stopListening = onStopSignal(() => ended.with({ reason: 'signal' }))
    // A follower whose lines nobody reads is not wanted any more.
    output.gone.addEventListener('abort', () => ended.with({ reason: 'signal' }))
    const printer = new StatusPrinter(output)
    let metrics: AsyncDisposable | undefined
    try {
      metrics = await servedMetrics(options, bucket, printer, output)
      const source = natsBucket(bucket, config)
      const follower = await ended.unlessReached(
        async (signal) => await followBucket({ ...settings, source, signal }),
      )
      if (follower !== undefined) {
        const repaired = settings.store.foreign ?? follower.status.recovery
        if (repaired !== undefined) output.warn(repairedText(repaired))
        settings.store.onSetAside = (movedTo) => output.warn(`the fold was set aside as ${movedTo}`)
        const rounds = publish?.(follower, output)
        if (rounds !== undefined) printer.publishes(rounds)
        printer.follow(follower, repaired)
        const end = (error: unknown): void => ended.with({ error: asUsage(namingTheRemedy(error, bucket)) })
        const stopWatching = giveUpWhenStuck(follower, { once, timeoutMs, end })
        if (once) {
          const audits = settings.auditIntervalMs !== false
          caughtUpAndAudited(follower, { audits, withinMs: timeoutMs }).then(
            () => ended.with({ reason: 'caughtUp' }),
            () => undefined,
          )
        }
        await closeAtTheEnd({ follower, rounds }, ended, printer).finally(stopWatching)
      }
      const end = await ended.reached
      if ('error' in end) throw end.error
      await printer.done(end.reason)
      return EXIT.done
    } finally {
      printer.stop()
      stopListening()
      await metrics?.[Symbol.asyncDispose]()
    }
  },
}

async function closeAtTheEnd(
  { follower, rounds }: { readonly follower: Follower; readonly rounds: ExportRounds | undefined },
  ended: Ending,
  printer: StatusPrinter,
): Promise<void> {
  follower.closed.then(
    () => ended.with({ reason: 'signal' }),
    (error: unknown) => ended.with({ error }),
  )
  const end = await ended.reached
  if ('error' in end) printer.failed(explain(end.error).code)
  try {
    // What a round has not yet published is given up, and its lease given back.
    await rounds?.close()
    await follower.close()
  } catch (error) {
    if ('error' in end) return
    printer.failed(explain(error).code)
    throw error
  }
}
