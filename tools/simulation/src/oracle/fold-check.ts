import { scopeCovers } from '@slip/kv-core'
import type { Branch, BucketHistory, Message } from '../bucket/history.ts'
import type { Head } from '../bucket/sim-bucket.ts'
import { describeHeld, type FoldContent } from './fold-content.ts'

/** What a fold is meant to hold of a bucket. */
export interface FoldMeaning {
  readonly prefixes: readonly string[]
  readonly emptyValues: 'tombstone' | 'keep'
  readonly whenEvicted: 'drop' | 'keep'
  /** Values longer than this are skipped. */
  readonly maxValueBytes: number
  /** Whether the known gap `cameBack` is excused. */
  readonly excusesCameBack: boolean
}

/** Whether this message gives its key a value in the fold. */
function isValue(message: Message, meaning: FoldMeaning): boolean {
  if (message.operation !== 'put' || message.value.length > meaning.maxValueBytes) return false
  return message.value.length > 0 || meaning.emptyValues === 'keep'
}

/**
 * Promises 1 and 5: the fold is one history of the bucket, cut at the cursor. Of a key whose newest
 * message at the cursor has left the bucket an older state is allowed, also that of a history before: it
 * was replaced by one above the cursor, or the count tells that it is gone.
 */
export function prefixViolation(
  fold: FoldContent,
  cursor: number,
  history: BucketHistory,
  heads: ReadonlyMap<string, Head>,
  meaning: FoldMeaning,
): string | undefined {
  const present = new Map([...heads].map(([key, { message }]) => [key, message.revision]))
  let first: string | undefined
  for (const branch of history.branches.toReversed()) {
    const found = disagreement(fold, cursor, branch, history, branch.lastHeads ?? present, meaning)
    if (found === undefined) return undefined
    first ??= found
  }
  const histories = history.branches.length
  return `the fold at ${cursor} is no state of ${histories === 1 ? 'the bucket' : `any of ${histories} histories`}: ${first}`
}

function disagreement(
  fold: FoldContent,
  cursor: number,
  branch: Branch,
  history: BucketHistory,
  present: ReadonlyMap<string, number>,
  meaning: FoldMeaning,
): string | undefined {
  if (cursor > branch.endedAt) return `the history ended at ${branch.endedAt}`
  for (const [key, held] of fold) {
    if (!scopeCovers(meaning.prefixes, key)) return `${key} is out of scope`
    if (held.value === undefined) continue
    if (held.revision > cursor) return `${key} is ahead: ${describeHeld(held)}`
    const newest = branch.newest(key, cursor)
    const isPresent = newest !== undefined && present.get(key) === newest.revision
    const written = (isPresent ? [branch] : history.branches).some((each) => {
      const message = each.at(held.revision)
      return message?.key === key && message.operation === 'put' && message.value === held.value
    })
    if (!written) return `${key} was never ${describeHeld(held)}`
  }
  for (const key of branch.keys) {
    if (!scopeCovers(meaning.prefixes, key)) continue
    const newest = branch.newest(key, cursor)
    if (newest === undefined || present.get(key) !== newest.revision) continue
    const held = fold.get(key)
    const isHeld = held?.value !== undefined ? held.revision : undefined
    const expected = isValue(newest, meaning) ? newest.revision : undefined
    if (isHeld === expected) continue
    if (meaning.excusesCameBack && held === undefined && cameBack(newest, branch, history)) continue
    return `${key} is ${describeHeld(held)}, but ${newest.operation}@${newest.revision} is in the bucket`
  }
  return undefined
}

/** Whether a history before this one had lost the message without a word. */
function cameBack({ key, revision }: Message, branch: Branch, history: BucketHistory): boolean {
  return history.branches
    .slice(0, history.branches.indexOf(branch))
    .some(
      (before) => before.newest(key, Infinity)?.revision === revision && before.lastHeads?.has(key) === false,
    )
}

/** Promise 4: in what the fold differs from what the bucket holds, as the policy means it. */
export function bucketDifferences(
  fold: FoldContent,
  branch: Branch,
  heads: ReadonlyMap<string, Head>,
  meaning: FoldMeaning,
): readonly string[] {
  const differences: string[] = []
  for (const [key, { message }] of heads) {
    if (!scopeCovers(meaning.prefixes, key)) continue
    const held = fold.get(key)
    const isHeld = held?.value !== undefined ? held.revision : undefined
    const expected = isValue(message, meaning) ? message.revision : undefined
    if (isHeld !== expected)
      differences.push(
        `${key} is ${describeHeld(held)}, the bucket has ${message.operation}@${message.revision}`,
      )
  }
  for (const [key, held] of fold) {
    if (held.value === undefined || heads.has(key)) continue
    // A replica of record keeps what nobody deleted.
    if (meaning.whenEvicted === 'keep' && branch.newest(key, Infinity)?.revision === held.revision) continue
    differences.push(`${key} is ${describeHeld(held)}, the bucket has nothing`)
  }
  return differences
}
