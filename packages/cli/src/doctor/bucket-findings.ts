import type { BucketInfo } from '@slip/nats'
import { failure, ok, warning, type Finding } from './finding.ts'
import { spanText } from './span-text.ts'

/** So full a bucket that refuses more is worth a warning. */
const NEARLY_FULL = 0.8

/** What the settings of a bucket mean for those who follow it. */
export function bucketFindings(info: BucketInfo, evictsCurrentValues: boolean | undefined): Finding[] {
  return [
    ok(
      'bucket',
      `${info.keys} keys, ${info.bytes} bytes, revisions ${info.firstRevision} to ${info.lastRevision}, created ${info.created}`,
    ),
    storage(info),
    eviction(info, evictsCurrentValues),
    history(info),
    room(info),
  ]
}

function storage({ storage: kind, replicas, name }: BucketInfo): Finding {
  if (kind === 'memory')
    return warning(
      'storage',
      'kept in memory: a restart of its server empties it, and its followers with it',
      `create another bucket with --storage file and copy ${name} into it`,
    )
  const copies = replicas === 1 ? 'one copy' : `${replicas} copies`
  return ok('storage', `on disk, ${copies}`)
}

function eviction(info: BucketInfo, evicts: boolean | undefined): Finding {
  if (evicts === false)
    return ok('eviction', 'a current value leaves only when somebody deletes it: drop and keep mean the same')
  const causes = causesOfEviction(info)
  const why = causes.length === 0 ? 'it does not say when' : causes.join(', ')
  return warning(
    'eviction',
    `current values leave by themselves (${why}). --when-evicted drop: the fold loses them too, and a follower that fell behind what the bucket still has lists it anew. --when-evicted keep: the fold keeps them, and a follower that fell behind ends with RepairRefused (exit 6), because a listing would delete what it keeps`,
    `choose drop for a mirror of the bucket and keep for a replica of record; let followers be away for less than ${keptFor(info)}`,
  )
}

/** Where nothing but age evicts, a follower under keep goes over a gap that is younger than half of it. */
function keptFor({ maxAgeMs, markerTtlMs, maxBytes, discard }: BucketInfo): string {
  const onlyAge = markerTtlMs === null && (discard === 'new' || maxBytes === null)
  return maxAgeMs !== null && onlyAge ? `half of ${spanText(maxAgeMs)}` : 'the bucket keeps'
}

function causesOfEviction({ maxAgeMs, markerTtlMs, maxBytes, discard }: BucketInfo): string[] {
  const causes: string[] = []
  if (maxAgeMs !== null) causes.push(`after ${spanText(maxAgeMs)}`)
  if (markerTtlMs !== null) causes.push('a key may have a time to live')
  if (discard === 'old' && maxBytes !== null) causes.push(`the oldest when it has ${maxBytes} bytes`)
  return causes
}

function history({ history: depth }: BucketInfo): Finding {
  if (depth === 1) return ok('history', 'one revision of a key: equal numbers of keys prove equal folds')
  return warning(
    'history',
    `${depth} revisions of a key: removing the newest uncovers an older one, which no count shows, so audits list the bucket`,
    'keep one revision where nobody reads older ones',
  )
}

function room({ bytes, maxBytes, discard, name }: BucketInfo): Finding {
  if (maxBytes === null) return ok('room', 'no limit of its own')
  const share = bytes / maxBytes
  const message = `${bytes} of ${maxBytes} bytes`
  if (discard === 'old' || share < NEARLY_FULL) return ok('room', message)
  const fix = `raise the limit, or delete what is not needed from ${name}`
  return share >= 1
    ? failure('room', `${message}: writes are refused`, fix)
    : warning('room', `${message}: writes are refused when it is full`, fix)
}
