import type { Action } from '../explorer/model.ts'
import { endSession } from './attach-session.ts'
import {
  ATTACHED,
  WATCHING,
  type AttachFields,
  type AttachShape,
  type AttachState,
  type Fault,
} from './attach-state.ts'

/** Whether a replica of record that begins now remembers that its bucket evicts. */
type SawEviction = (s: AttachState) => boolean
type Step = Action<AttachFields>['step']

/** Everything writers, operators and the server do to the bucket. */
export function bucketActions(shape: AttachShape, sawEviction: SawEviction): Action<AttachFields>[] {
  const { options } = shape
  const keys = Array.from({ length: options.keys }, (_, k) => k)
  const each = (name: string, step: (k: number) => Step): Action<AttachFields>[] =>
    keys.map((k) => ({ name: `${name} k${k}`, environment: true, step: step(k) }))
  const once = (name: string, step: Step): Action<AttachFields>[] => [{ name, environment: true, step }]
  const faults: Record<Fault, () => Action<AttachFields>[]> = {
    purge: () => once('purge the stream', (s) => purge(shape, s)),
    purgeSubject: () => each('purge subject', (k) => (s) => vanish(shape, s, k)),
    deleteMessage: () => each('delete message of', (k) => (s) => vanish(shape, s, k)),
    expireAge: () => once('the oldest expires', (s) => dropOldest(shape, s)),
    expireKey: () => each('expire', (k) => (s) => vanish(shape, s, k)),
    discardOld: () =>
      each('put, evicting the oldest,', (k) => (s) => {
        if (shape.evicts(s) === false) return false
        if (keys.every((other) => other === k || s.bucket.at(other) === 0)) return false
        return write(shape, s, k, false) && dropOldest(shape, s)
      }),
    shrinkLimit: () => once('shrink a limit', (s) => dropOldest(shape, s)),
    cleanMarker: () =>
      each('clean marker of', (k) => (s) => {
        const code = s.bucket.at(k)
        if (code === 0 || shape.messages.isLive(code)) return false
        s.bucket.set(k, 0)
        return true
      }),
    recreate: () => once('recreate the bucket', (s) => recreate(shape, s)),
    rollback: () => [
      ...once('back up the server', (s) => backUp(shape, s)),
      ...once('roll the server back', (s) => rollBack(shape, s)),
    ],
  }
  return [
    ...each('put', (k) => (s) => write(shape, s, k, false)),
    ...each('delete', (k) => (s) => shape.messages.isLive(s.bucket.at(k)) && write(shape, s, k, true)),
    ...options.faults.flatMap((fault) => faults[fault]()),
    ...(options.artifacts === true ? once('publish an artifact', (s) => publish(shape, sawEviction, s)) : []),
    ...(typeof options.evicts === 'string' && options.evicts !== 'unknown'
      ? once('change the limits', (s) => changeLimits(shape, s))
      : []),
  ]
}

function write(shape: AttachShape, s: AttachState, k: number, marker: boolean): boolean {
  const { options, messages } = shape
  if (s.last === options.revisions) return false
  s.last++
  const code = messages.code(s.last, s.era, marker)
  s.bucket.set(k, code)
  if (shape.records(k)) s.record.set(k, code)
  return true
}

function vanish(shape: AttachShape, s: AttachState, k: number): boolean {
  if (!shape.messages.isLive(s.bucket.at(k))) return false
  s.bucket.set(k, 0)
  // Somebody removed it, or its time was over: a replica of record may have it or not.
  if (shape.records(k)) s.record.set(k, 0)
  return true
}

function purge({ options }: AttachShape, s: AttachState): boolean {
  let any = false
  for (let k = 0; k < options.keys; k++) {
    any ||= s.bucket.at(k) !== 0
    s.bucket.set(k, 0)
  }
  return any
}

function dropOldest(shape: AttachShape, s: AttachState): boolean {
  const first = shape.first(s)
  if (first > s.last || shape.evicts(s) === false) return false
  for (let k = 0; k < shape.options.keys; k++) {
    if (shape.messages.revision(s.bucket.at(k)) !== first) continue
    s.bucket.set(k, 0)
    // What left before the fold had everything once was never its to keep, unless it had the key by then.
    if (s.owed === 0 && shape.records(k) && s.fold.at(k) === 0) s.record.set(k, 0)
  }
  return true
}

/** A node that has just hydrated leaves its copy. */
function publish({ scoped, keepsRecord }: AttachShape, sawEviction: SawEviction, s: AttachState): boolean {
  if (s.artifactBound !== 0 || s.last === 0) return false
  for (let k = 0; k < scoped; k++) s.artifact.set(k, s.bucket.at(k))
  s.artifactCursor = s.last
  s.artifactBound = s.incarnation + 1
  s.artifactSeen = keepsRecord && sawEviction(s) ? 1 : 0
  return true
}

/** The limits of the bucket are set, or lifted. */
function changeLimits({ options: { evicts } }: AttachShape, s: AttachState): boolean {
  const from = evicts === 'begins' ? 0 : 1
  if (s.evicting !== from || (evicts === 'ends' && s.seen === 0)) return false
  s.evicting = 1 - from
  return true
}

function recreate(shape: AttachShape, s: AttachState): boolean {
  if (s.era + 1 === shape.eras) return false
  purge(shape, s)
  s.last = 0
  s.era++
  s.incarnation++
  forgetBackup(shape, s, 0)
  if (s.mode === WATCHING) s.dead = 1
  return true
}

function backUp({ options, noBackup }: AttachShape, s: AttachState): boolean {
  if (s.era > 0 || s.backupLast !== noBackup) return false
  for (let k = 0; k < options.keys; k++) s.backup.set(k, s.bucket.at(k))
  s.backupLast = s.last
  return true
}

/** A server that comes back older has lost its connections, unless another node took them over. */
function rollBack(shape: AttachShape, s: AttachState): boolean {
  const { options, noBackup } = shape
  if (s.backupLast === noBackup || s.era + 1 === shape.eras) return false
  for (let k = 0; k < options.keys; k++) s.bucket.set(k, s.backup.at(k))
  s.last = s.backupLast
  s.era++
  forgetBackup(shape, s, s.last)
  if (options.survives === true) s.sent = Math.min(s.sent, s.last)
  else if (s.mode === WATCHING) s.dead = 1
  else if (s.mode === ATTACHED && options.reconnects !== true) endSession(s, {})
  return true
}

function forgetBackup({ options }: AttachShape, s: AttachState, shared: number): void {
  if (options.faults.includes('rollback')) for (let k = 0; k < options.keys; k++) s.backup.set(k, 0)
  s.backupLast = shared
}
