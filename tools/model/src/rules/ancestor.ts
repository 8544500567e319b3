import { protocol, type AttachDecision, type AttachInput, type Protocol } from '@slip/kv-core'

/** The one comparison of the ancestor: whatever is still there from the cursor on is all there was. */
function floorGuard({ fold, source }: AttachInput): AttachDecision {
  const { revision } = fold.cursor
  if (revision === undefined) return { action: 'fresh' }
  return source.firstRevision !== undefined && source.firstRevision > revision + 1n
    ? { action: 'rebuild', reason: 'cursorExpired', history: 'same', evictionSeen: false }
    : { action: 'resume' }
}

/** The ancestor's rules: a floor guard, no audit, no lineage, and updates taken as they come. */
export const ancestor: Protocol = {
  ...protocol,
  attach: floorGuard,
  judgeHistory: () => ({ verdict: 'same' }),
  audit: () => 'off',
  onDelivery: () => 'apply',
}
