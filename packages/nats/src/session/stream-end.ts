import { KvError } from '@slip/kv-core'

import type { BucketContext } from '../bucket-context.ts'
import { subjectText, type StreamEnd } from './readiness.ts'
import type { StreamFacts } from './stream-facts.ts'
import { StreamPages } from './stream-pages.ts'

const MAX_SUBJECTS = 1 << 17

export interface EndQuestion {
  readonly subjects: readonly string[]
  /** What stands behind this sequence is asked for. */
  readonly after: number
  /** What the stream was when the session began. */
  readonly start: StreamFacts
  /** Gives the stream's last sequence; undefined when the server does not say. */
  readonly lastSequence: () => Promise<number | undefined>
  readonly signal: AbortSignal
}

/**
 * Finds out what stands behind a position that a consumer reached. Undefined when that could not be done
 * now. Throws what ends the session.
 */
export async function findStreamEnd(
  context: BucketContext,
  { subjects, after, start, lastSequence, signal }: EndQuestion,
): Promise<StreamEnd | undefined> {
  const last = await lastSequence()
  // Below what it had reached only a replica can be, that was just elected and has not read all of its log.
  if (last === undefined || last < after) return undefined
  if (last === after || last === start.lastSequence) return { kind: 'nothing', last }
  const found = new Set<string>()
  const plan = {
    subjects,
    after,
    headersOnly: true,
    keepsHistory: start.keepsHistory,
    replicated: start.replicas > 1,
    atLeast: last,
  }
  const pages = new StreamPages(context, plan, { signal }, (subject) => found.add(subjectText(subject)))
  try {
    while (found.size < MAX_SUBJECTS)
      if ((await pages.next()) === 'end') return { kind: 'subjects', subjects: found, last: pages.position }
    return undefined
  } catch (error) {
    if (!KvError.is(error)) throw error
    if (error.code === 'BucketNotFound') throw error
    // Pulling is not allowed, or there may be no more consumers.
    if (error.code === 'PermissionDenied' || error.code === 'QuotaExceeded')
      return { kind: 'unreadable', last }
    return undefined
  } finally {
    pages.close()
  }
}
