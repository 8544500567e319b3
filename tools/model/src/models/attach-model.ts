import type { Protocol } from '@slip/kv-core'
import type { Model } from '../explorer/model.ts'
import { bucketActions } from './attach-bucket.ts'
import { AttachFollower } from './attach-follower.ts'
import {
  AttachShape,
  FAILED,
  IDLE,
  WATCHING,
  type AttachFields,
  type AttachOptions,
  type AttachState,
  type Fault,
} from './attach-state.ts'

const MODES = ['down', 'idle', 'attached', 'watching', 'failed']
const isLive = (s: AttachState): boolean => s.mode === WATCHING && s.caught === 1 && s.unsure === 0
const FINDINGS = [
  '',
  'countMismatch',
  'brokenLineage',
  'bucketRecreated',
  'revisionMismatch',
  'cursorExpired',
]

/**
 * A bucket with history 1 and one follower of it: attach, lineage and audit. Updates are applied as
 * they are delivered; what lies between is the business of other models.
 */
export function attachModel(options: AttachOptions, rules: Protocol): Model<AttachFields> {
  const shape = new AttachShape(options)
  const follower = new AttachFollower(shape, rules)
  const { noBackup } = shape
  const { judgement } = follower
  const sawEviction = (s: AttachState): boolean => judgement.sawEviction(judgement.describe(s), false)
  return {
    name: options.name,
    layout: shape.layout,
    begin(s) {
      s.backupLast = noBackup
      if (options.evicts === 'ends' || options.evicts === 'endsUnseen') s.evicting = 1
    },
    actions: [...follower.actions(), ...bucketActions(shape, sawEviction)],
    always: {
      'what an audit claims is right': (s) => s.lied === 0,
      ...(options.survives === true
        ? {}
        : {
            'what the bucket holds up to the cursor of a living watch, its fold holds': (s) =>
              holdsPrefix(shape, s),
          }),
      ...(shape.keepsRecord
        ? {
            'what was written up to the cursor and not deleted, a replica of record holds': (s) =>
              shape.holdsRecord(s),
          }
        : {}),
      ...(options.calm === true ? { 'no rebuild without cause': (s) => s.rebuilding === 0 } : {}),
    },
    sometimes: {
      'the fold catches up with a full bucket': (s) =>
        isLive(s) && s.last === options.revisions && shape.converged(s) && s.cursor === s.last,
      ...witnesses(shape, follower),
    },
    terminal: {
      'at rest the fold equals the bucket, or says that it was not compared': (s) =>
        s.mode === FAILED ||
        s.distrusted === 1 ||
        (shape.keepsRecord ? s.cursor === s.last && shape.holdsRecord(s) : shape.converged(s)) ||
        options.judged?.(s) === false,
      'at rest the follower is live, or failed': (s) => s.mode === FAILED || isLive(s),
    },
    settles: true,
    columns: {
      bucket: (s) => showRow(shape, s.bucket, options.keys),
      last: (s) => s.last,
      fold: (s) => showRow(shape, s.fold, shape.scoped),
      cursor: (s) => s.cursor,
      staged: (s) =>
        s.rebuilding === 0 ? '' : `${showRow(shape, s.staged, shape.scoped)} @${s.stagedCursor}`,
      follower: (s) =>
        `${MODES[s.mode]}${s.caught ? ', caught up' : ''}${s.unsure ? ', unsure' : ''}${s.dead ? ', dead' : ''}`,
      found: (s) => `${FINDINGS[s.finding]}${s.suspect ? ' suspect' : ''}`,
      history: (s) => `${s.incarnation}.${s.era}`,
    },
  }
}

/** Removals that leave no message. */
const SILENT: readonly Fault[] = ['purge', 'purgeSubject', 'deleteMessage', 'expireKey', 'cleanMarker']

/** What only some options can show. */
function witnesses(
  shape: AttachShape,
  follower: AttachFollower,
): Record<string, (s: AttachState) => boolean> {
  const { keepsRecord } = shape
  const { faults, whenEvicted = 'drop' } = shape.options
  return {
    'an audit says equal': (s) => isLive(s) && s.last > 0 && follower.judgement.auditOf(s) === 'equal',
    'an audit has to wait': (s) => isLive(s) && follower.judgement.auditOf(s) === 'wait',
    ...(keepsRecord
      ? {
          'an audit is off': (s) => isLive(s) && follower.judgement.auditOf(s) === 'off',
          'the fold has what its bucket evicted': (s) =>
            isLive(s) && s.cursor === s.last && !shape.converged(s),
          'a repair is refused': (s) => s.mode === FAILED,
        }
      : {}),
    ...(shape.options.artifacts === true
      ? {
          'an artifact is taken': (s) =>
            s.rebuilding === 1 &&
            s.mode === IDLE &&
            s.stagedCursor === s.artifactCursor &&
            s.artifactCursor > s.cursor,
        }
      : {}),
    ...(faults.some((fault) => SILENT.includes(fault))
      ? { 'an audit finds a mismatch': (s) => isLive(s) && follower.judgement.auditOf(s) === 'mend' }
      : {}),
    ...(faults.length > 0 && (whenEvicted === 'drop' || faults.some((fault) => SILENT.includes(fault)))
      ? { 'a rebuild holds a part of the bucket': (s) => s.rebuilding === 1 && s.stagedCursor > 0 }
      : {}),
    ...(faults.includes('recreate') || faults.includes('rollback')
      ? {
          'the fold equals a bucket of another history': (s) =>
            s.era > 0 && isLive(s) && s.last > 0 && shape.converged(s),
        }
      : {}),
  }
}

function showRow(shape: AttachShape, row: { at(i: number): number }, length: number): string {
  return Array.from({ length }, (_, k) => shape.messages.show(row.at(k))).join(' ')
}

/** What makes equal counts mean equal keys; and what a resumed fold of another history breaks. */
function holdsPrefix(shape: AttachShape, s: AttachState): boolean {
  if (s.mode !== WATCHING || s.dead === 1 || s.unsure === 1) return true
  const [fold, cursor] = s.rebuilding === 1 ? [s.staged, s.stagedCursor] : [s.fold, s.cursor]
  for (let k = 0; k < shape.scoped; k++) {
    const code = s.bucket.at(k)
    if (code === 0 || shape.messages.revision(code) > cursor) continue
    if (!shape.isSame(code, fold.at(k))) return false
  }
  return true
}
