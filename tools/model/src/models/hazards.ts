import type { AttachOptions, Fault } from './attach-state.ts'

/** A silent divergence of the ancestor: what happens in the bucket, and the smallest model that shows it. */
export interface Hazard {
  readonly id: string
  readonly what: string
  readonly options: AttachOptions
}

const hazard = (id: string, what: string, fault: Fault, more: Partial<AttachOptions> = {}): Hazard => ({
  id,
  what,
  options: { name: `${id}: ${what}`, keys: 2, revisions: 3, faults: [fault], ...more },
})

const broken: Partial<AttachOptions> = { eras: 2, revisions: 2 }

/** H1 to H11, each with its fault alone. */
export const HAZARDS: readonly Hazard[] = [
  hazard('H1', 'the stream is purged', 'purge'),
  hazard('H2', 'a subject is purged', 'purgeSubject'),
  hazard('H3', 'a message is deleted', 'deleteMessage'),
  hazard('H4', 'values expire by age', 'expireAge', { evicts: true }),
  hazard('H5', 'a value expires by its own time to live', 'expireKey', { evicts: true }),
  hazard('H6', 'a write evicts the oldest value', 'discardOld', { evicts: true }),
  hazard('H7', 'a limit is lowered', 'shrinkLimit', { evicts: true }),
  hazard('H8', 'a delete and its clean-up while the follower is away', 'cleanMarker'),
  hazard('H9', 'the bucket is recreated', 'recreate', broken),
  hazard('H10', 'an older state comes back, and its revisions are used again', 'rollback', {
    ...broken,
    judged: (s) => s.last >= s.cursor,
  }),
  hazard('H11', 'an older state comes back, below the cursor', 'rollback', {
    ...broken,
    clamps: true,
    judged: (s) => s.last < s.cursor,
  }),
]
