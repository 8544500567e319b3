import { pause } from '../apply/back-off.ts'
import { KvError } from '../errors.ts'
import type { HistoryEvidence, HistoryVerdict } from '../protocol/judge-history.ts'
import { protocol } from '../protocol/protocol.ts'
import type { WatchScope } from '../scope.ts'
import type { KvHistory, StoredMessage, WaitOptions } from '../source.ts'
import type { AnchorRing } from './anchor-ring.ts'
import { within } from './deadline.ts'

const ANSWER_TIMEOUT_MS = 5_000
const ASK_AGAIN_MS = 250

/** What is to be proven of a fold. */
export interface HistoryClaim {
  readonly ring: AnchorRing
  readonly cursor: bigint
  readonly scope: WatchScope
  readonly historyPerKey: number | undefined
}

/**
 * Asks a bucket whether it still has the history of a fold that does not move meanwhile. A verdict
 * against the fold is believed when it comes twice: the first may be that of a server that is not up to
 * date.
 */
export async function proveHistory(
  history: KvHistory,
  claim: HistoryClaim,
  signal: AbortSignal,
): Promise<HistoryVerdict | undefined> {
  const verdict = await askHistory(history, claim, signal)
  if (verdict === undefined || verdict === 'same' || verdict === 'unknown') return verdict
  await pause(ASK_AGAIN_MS, signal)
  return askHistory(history, claim, signal)
}

/**
 * Asks once, for the fold as it is at this moment. undefined when the bucket may not be asked, or there
 * is nothing to ask for. Rejects when the bucket does not answer.
 */
export async function askHistory(
  history: KvHistory,
  claim: HistoryClaim,
  signal: AbortSignal,
): Promise<HistoryVerdict | undefined> {
  if (claim.ring.size === 0 && !claim.ring.complete) return undefined
  try {
    return await ask(history, claim, signal)
  } catch (error) {
    if (KvError.is(error) && (error.code === 'PermissionDenied' || error.code === 'Unsupported'))
      return undefined
    throw error
  }
}

async function ask(history: KvHistory, claim: HistoryClaim, signal: AbortSignal): Promise<HistoryVerdict> {
  const { ring, cursor, scope, historyPerKey } = claim
  const anchors = ring.anchors.toReversed()
  let evidence: HistoryEvidence = {
    anchors,
    complete: ring.complete,
    cursor,
    historyPerKey,
    at: [],
    firstAfter: [],
  }
  const options: WaitOptions = { signal, timeoutMs: ANSWER_TIMEOUT_MS }
  const answers = <K>(
    keys: readonly K[],
    one: (key: K) => Promise<StoredMessage | undefined>,
  ): Promise<readonly (StoredMessage | undefined)[]> =>
    within(Promise.all(keys.map(one)), {
      signal,
      timeoutMs: ANSWER_TIMEOUT_MS,
      what: 'asking for the history of the bucket',
    })
  for (;;) {
    const step = protocol.judgeHistory(evidence)
    if ('verdict' in step) return step.verdict
    switch (step.ask) {
      case 'at': {
        const found = await answers(step.revisions, (revision) => history.at(revision, options))
        evidence = { ...evidence, at: [...evidence.at, ...found] }
        break
      }
      case 'firstAfter': {
        const [answer] = await answers([step.revision], (revision) =>
          history.firstAfter(revision, scope, options),
        )
        evidence = { ...evidence, firstAfter: [...evidence.firstAfter, answer] }
        break
      }
      default:
        evidence = {
          ...evidence,
          newest: await answers(step.keys, (key) => history.newest(key, options)),
        }
    }
  }
}
