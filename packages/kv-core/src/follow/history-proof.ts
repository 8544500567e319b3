import { KvError } from '../errors.ts'
import type { HistoryEvidence, HistoryVerdict } from '../protocol/judge-history.ts'
import { protocol } from '../protocol/protocol.ts'
import type { WatchScope } from '../scope.ts'
import type { KvHistory, StoredMessage, WaitOptions } from '../source.ts'
import type { AnchorRing } from './anchor-ring.ts'
import { within } from './deadline.ts'

const ANSWER_TIMEOUT_MS = 5_000
/** A source may send a message's value with each answer. */
const QUESTIONS_AT_A_TIME = 8

/** What a fold remembers, and how far it has come. */
export interface FoldHistory {
  readonly ring: AnchorRing
  readonly cursor: bigint
}

/** How to ask a bucket. */
export interface HistoryQuestion {
  readonly history: KvHistory
  readonly scope: WatchScope
  readonly historyPerKey: number | undefined
  readonly signal: AbortSignal
}

/** What a bucket said of a history. */
export interface HistoryAnswer {
  readonly verdict: HistoryVerdict
  /** Whether a message was seen at or above the cursor: a bucket that ends below it shows none. */
  readonly reachesCursor: boolean
}

/**
 * Asks a bucket once whether it has the history of a fold. Anchors above `trusted` may be of another
 * history than the others. undefined when the bucket may not be asked, or there is nothing to ask for.
 * Rejects when the bucket does not answer.
 */
export async function askHistory(
  fold: FoldHistory,
  trusted: bigint | undefined,
  question: HistoryQuestion,
): Promise<HistoryAnswer | undefined> {
  if (fold.ring.size === 0 && !fold.ring.complete) return undefined
  try {
    return await ask(fold, trusted, question)
  } catch (error) {
    if (KvError.is(error) && (error.code === 'PermissionDenied' || error.code === 'Unsupported'))
      return undefined
    throw error
  }
}

async function ask(
  { ring, cursor }: FoldHistory,
  trusted: bigint | undefined,
  { history, scope, historyPerKey, signal }: HistoryQuestion,
): Promise<HistoryAnswer> {
  const anchors = ring.anchors.toReversed()
  const { complete } = ring
  const claim = { anchors, complete, cursor, trusted, historyPerKey }
  let evidence: HistoryEvidence = { ...claim, at: [], firstAfter: [] }
  // Its own signal, as each question may listen to it.
  const options: WaitOptions = { signal: AbortSignal.any([signal]), timeoutMs: ANSWER_TIMEOUT_MS }
  const answers = async <K>(
    keys: readonly K[],
    one: (key: K) => Promise<StoredMessage | undefined>,
  ): Promise<readonly (StoredMessage | undefined)[]> => {
    const found: (StoredMessage | undefined)[] = []
    for (let i = 0; i < keys.length; i += QUESTIONS_AT_A_TIME) {
      const some = Promise.all(keys.slice(i, i + QUESTIONS_AT_A_TIME).map(one))
      const what = 'asking for the history of the bucket'
      found.push(...(await within(some, { signal, timeoutMs: ANSWER_TIMEOUT_MS, what })))
    }
    return found
  }
  for (;;) {
    const step = protocol.judgeHistory(evidence)
    if ('verdict' in step) {
      const seen = [...evidence.at, ...evidence.firstAfter, ...(evidence.newest ?? [])]
      const reachesCursor = seen.some((message) => message !== undefined && message.revision >= cursor)
      return { verdict: step.verdict, reachesCursor }
    }
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
