import { backOffMs, pause } from '../apply/back-off.ts'
import { KvError, SnapshotError } from '../errors.ts'
import type { FollowSource, SourceOpener } from '../follow-source.ts'
import type { SnapshotStore } from '../store.ts'
import { within } from './deadline.ts'
import type { FoldParts } from './fold-parts.ts'
import type { FollowSettings } from './follow-settings.ts'
import { SessionRunner } from './session-runner.ts'
import type { Watchdog } from './watchdog.ts'

const BACK_OFF = { firstMs: 20, secondMs: 100, maxMs: 5_000 }
/** A session that lived this long after catching up makes the next retry a first one. */
const SETTLED_MS = 250

/**
 * Keeps a session running until `signal` aborts: opens the source with back-off, for ever, and starts
 * the next session when one ended. Rejects with what no retry mends.
 */
export async function supervise<S extends SnapshotStore, T>(
  parts: FoldParts<S, T>,
  settings: FollowSettings,
  open: SourceOpener,
  signal: AbortSignal,
  watchdog: Watchdog,
): Promise<void> {
  const { board } = parts
  const runner = new SessionRunner(parts, settings, signal)
  watchdog.onSilent = (nowMs) => runner.endIfStuck(nowMs)
  let source: FollowSource | undefined
  let attempt = 0
  try {
    while (!signal.aborted) {
      const opened = source ?? (await opening(open, signal))
      if (opened instanceof Failure) {
        if (signal.aborted) return
        board.dispatch({ type: 'sourceFailed', reason: reasonOf(opened.error) }, opened.error)
      } else {
        source = opened
        const startedMs = performance.now()
        const end = await runner.run(source)
        if (end.why === 'aborted') return
        if (end.why === 'unreachable') {
          board.dispatch({ type: 'sourceFailed', reason: reasonOf(end.error) }, end.error)
          farewell(source)
          source = undefined
        } else {
          board.dispatch({ type: 'sessionEnded', reason: end.reason }, end.error)
          if (end.caughtUp && performance.now() - startedMs >= SETTLED_MS) attempt = 0
        }
      }
      await pause(backOffMs(attempt++, BACK_OFF, Math.random()), signal)
    }
  } finally {
    if (source !== undefined) farewell(source)
    await runner.close()
  }
}

class Failure {
  readonly error: unknown

  constructor(error: unknown) {
    this.error = error
  }
}

async function opening(open: SourceOpener, signal: AbortSignal): Promise<FollowSource | Failure> {
  try {
    return await within(open({ signal }), { signal, what: 'opening the source', onLate: farewell })
  } catch (error) {
    return new Failure(error)
  }
}

/** A source that is done may be the one that hangs: its close is not waited for. */
function farewell(source: FollowSource): void {
  const closing = async (): Promise<void> => source.close?.()
  void closing().catch(() => undefined)
}

/** A word for the status: the error's code, else its class. */
function reasonOf(error: unknown): string {
  if (KvError.is(error) || SnapshotError.is(error)) return error.code
  return error instanceof Error ? error.name : 'Error'
}
