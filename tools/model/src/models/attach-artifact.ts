import type { AttachInput } from '@slip/kv-core'
import type { AttachJudgement } from './attach-judgement.ts'
import { startRebuild } from './attach-session.ts'
import { IDLE, NO_FINDING, type AttachShape, type AttachState } from './attach-state.ts'

/**
 * Before a session: what another node published becomes a second fold, where that may take the place of one that could go
 * on. The next attach judges it once more.
 */
export function takeArtifact(
  { keepsRecord, scoped }: AttachShape,
  judgement: AttachJudgement,
  s: AttachState,
  fold: AttachInput['fold'],
): boolean {
  if (s.mode !== IDLE || s.rebuilding === 1 || s.artifactBound === 0 || s.finding !== NO_FINDING) return false
  const source = judgement.describe(s)
  const { action } = judgement.decide(s, fold, source, undefined, s.fold)
  if (action !== 'resume' && action !== 'reconcile') return false
  if (!judgement.takesArtifact(s, fold, source)) return false
  startRebuild(s, scoped, 'behindArtifact')
  s.bind = s.incarnation + 1
  s.bindSeen = keepsRecord && judgement.sawEviction(source, s.seen === 1) ? 1 : 0
  for (let k = 0; k < scoped; k++) s.staged.set(k, s.artifact.at(k))
  s.stagedCursor = s.artifactCursor
  return true
}
