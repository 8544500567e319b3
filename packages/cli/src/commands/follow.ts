import { follow as followBucket, KvError, type Follower, type FollowStatus } from '@slip/kv-core'
import { CONNECTION_OPTIONS, connectionConfig, connectTimeoutMs } from '../bucket/connection-options.ts'
import { namingTheRemedy } from '../bucket/with-bucket.ts'
import type { Command } from '../command/command.ts'
import { FOLLOW_OPTIONS, followOptions, LATER_OPTIONS } from '../follow/follow-options.ts'
import { failingSource } from '../follow/once-source.ts'
import { StatusPrinter } from '../follow/status-printer.ts'
import { onStopSignal } from '../follow/stop-signals.ts'
import { EXIT } from '../output/exit-code.ts'
import type { Output } from '../output/output.ts'

type End = { readonly reason: 'caughtUp' | 'signal' } | { readonly error: unknown }

export const follow: Command = {
  name: 'follow',
  words: ['BUCKET'],
  summary: 'Keeps a durable local fold of a bucket in step.',
  details:
    'JSON, a line at each change of state and one a second: {time, state, reason?, cursor, revision, durableRevision, streamLast, lag, entries, applied, delivered, deliveredBytes, relisted, skipped, sessions, verifiedThrough, recovery?}. States: opening, connecting, catchingUp, live, resyncing, stale, failed, closed; only live claims that the fold is in step. The last line has done and reason (caughtUp or signal). SIGINT and SIGTERM finish the batch in hand and make it durable.',
  options: { ...FOLLOW_OPTIONS, ...LATER_OPTIONS, ...CONNECTION_OPTIONS },
  exits: [
    '3  no such bucket; with --once also: the server cannot be used',
    '4  the fold is not a fold, or belongs to another bucket or scope',
    '5  another writer holds the fold',
    '6  the fold fell behind and may not be repaired',
  ],
  example: 'slip follow routes --fold log:./routes.slip',
  async run({ words: [bucket = ''], options, output }) {
    const once = options.on('once')
    const settings = followOptions(options)
    const { natsBucket } = await import('@slip/nats')
    const ended = new Ending()
    const timeoutMs = connectTimeoutMs(options)
    const source = failingSource(natsBucket(bucket, await connectionConfig(options)), {
      once,
      timeoutMs,
      onFailure: (error) => ended.with({ error: namingTheRemedy(error, bucket) }),
    })
    const stopListening = onStopSignal(() => ended.with({ reason: 'signal' }))
    try {
      const follower = await followBucket({ ...settings, source })
      return await printUntilTheEnd(follower, { output, once, ended, timeoutMs })
    } finally {
      stopListening()
    }
  },
}

interface Run {
  readonly output: Output
  readonly once: boolean
  readonly ended: Ending
  readonly timeoutMs: number
}

async function printUntilTheEnd(
  follower: Follower,
  { output, once, ended, timeoutMs }: Run,
): Promise<number> {
  if (follower.status.recovery !== undefined) output.warn(recoveryText(follower.status))
  const printer = new StatusPrinter(follower, output)
  follower.closed.then(
    () => ended.with({ reason: 'signal' }),
    (error: unknown) => ended.with({ error }),
  )
  if (once) {
    follower.caughtUp().then(
      () => ended.with({ reason: 'caughtUp' }),
      () => undefined,
    )
    endWhenStuck(follower, timeoutMs, ended)
  }
  const end = await ended.reached
  const before = follower.status
  try {
    await follower.close()
  } catch (error) {
    if (!('error' in end)) throw error
  } finally {
    printer.stop()
  }
  if ('error' in end) throw end.error
  const after = follower.status
  await printer.done({ ...before, state: after.state, durableCursor: after.durableCursor }, end.reason)
  return EXIT.done
}

/** With `--once`: a session that cannot start, though the connection stands, is given as long as a connection. */
function endWhenStuck(follower: Follower, timeoutMs: number, ended: Ending): void {
  let since: number | undefined
  const timer = setInterval(() => {
    const { state, reason } = follower.status
    if (state !== 'connecting') since = undefined
    else since ??= performance.now()
    if (since === undefined || performance.now() - since < 2 * timeoutMs) return
    ended.with({
      error: new KvError(
        'Unreachable',
        `the source cannot be used${reason === undefined ? '' : `: ${reason}`}`,
      ),
    })
  }, 100)
  timer.unref()
  void ended.reached.then(() => clearInterval(timer))
}

function recoveryText({ recovery }: FollowStatus): string {
  if (recovery === undefined) return ''
  return recovery.verdict === 'torn'
    ? `the fold's last write was unfinished: ${recovery.bytes} bytes cut at ${recovery.at}`
    : `the fold was damaged at byte ${recovery.at}: kept as ${recovery.movedTo ?? 'another file'}, and rebuilt`
}

/** The first reason to end wins. */
class Ending {
  readonly reached: Promise<End>
  readonly with: (end: End) => void

  constructor() {
    let settle!: (end: End) => void
    this.reached = new Promise((resolve) => (settle = resolve))
    this.with = settle
  }
}
