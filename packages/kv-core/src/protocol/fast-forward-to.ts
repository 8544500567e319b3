import { attach, type AttachInput } from './attach.ts'

/** Below this many revisions a tail is delivered sooner than an artifact is found. */
const LEAST_BEHIND = 10_000

export interface FastForwardInput extends AttachInput {
  /** In the fold: what an artifact of it is about as large as. */
  readonly entries: number
  /** How many revisions it may lack; false: any number. @default `entries`, and at least 10,000 */
  readonly behind?: number | false | undefined
}

/**
 * The revision that an artifact has to reach to take the place of a fold that could go on; undefined where the
 * fold goes on as it is. An artifact is worth what it saves: as many revisions as the fold may lack. It comes as
 * a second fold beside the one in use, so that the bucket has to allow one that is built anew: a replica of record
 * that has what was evicted is worth more than any artifact that is ahead of it.
 */
export function fastForwardTo(input: FastForwardInput): bigint | undefined {
  const { fold, source, entries, behind = Math.max(entries, LEAST_BEHIND) } = input
  const { revision } = fold.cursor
  const { lastRevision } = source
  if (behind === false || revision === undefined || lastRevision === undefined) return undefined
  if (input.restores !== true || fold.stages !== true) return undefined
  const reached = revision + BigInt(behind)
  if (reached > lastRevision) return undefined
  const anew = attach({ ...input, finding: 'behindArtifact' })
  return anew.action === 'rebuild' && anew.history === 'same' ? reached : undefined
}
