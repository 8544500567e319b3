import { attach, type AttachInput } from './attach.ts'

export interface MayFastForwardInput extends Omit<AttachInput, 'finding'> {
  /** What an artifact is, and what the bucket said of its anchors, as of a fold. */
  readonly fold: AttachInput['fold']
  /** The revision it has to reach. */
  readonly least: bigint
}

/**
 * Whether an artifact may take the place of a fold that could go on. More is asked than of a node with nothing: that
 * it is a state the bucket was in, proven by the bucket's own history, made by the same policies, and could
 * be gone on from without another look.
 */
export function mayFastForward(input: MayFastForwardInput): boolean {
  const { fold, whenEvicted, history, least } = input
  const { binding, cursor, settled } = fold
  if (binding === undefined || settled !== true || history !== 'same') return false
  if (binding.whenEvicted !== whenEvicted || binding.evictionSeen) return false
  if (cursor.revision === undefined || cursor.revision < least) return false
  return attach({ ...input, finding: undefined }).action === 'resume'
}
