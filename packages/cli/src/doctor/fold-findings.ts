import {
  decodeLineage,
  protocol,
  type Lineage,
  type SourceDescription,
  type WatchCursor,
} from '@slip/kv-core'
import type { FoldUsage } from '../fold/fold-backend.ts'
import { failure, ok, warning, type Finding } from './finding.ts'

/** Commits that a read transaction may be behind without a word. */
const FAR_BEHIND = 1_000

/** What is known of a fold without its writer's lock. */
export interface FoldFacts {
  readonly backend: 'append-log' | 'lmdb'
  readonly generation: number
  readonly cursor: WatchCursor
  readonly entries: number
  readonly deletedKeys: number
  readonly bytes: number
  readonly freeBytes: number
  readonly lineage: Uint8Array | undefined
  readonly torn: { readonly bytes: number } | undefined
  readonly holder: { readonly pid: number; readonly host: string } | undefined
  readonly usage: FoldUsage | undefined
}

/** What a follower of the fold's own scope would make of it if it began now. */
export function foldFindings(fold: FoldFacts, source: SourceDescription): Finding[] {
  const lineage = fold.lineage === undefined ? undefined : decodeLineage(fold.lineage)
  const count = counted(fold, lineage, source)
  return [
    file(fold),
    bound(fold, lineage),
    resume(fold, lineage, source),
    ...(count === undefined ? [] : [count]),
    ...(fold.usage === undefined ? [] : [readers(fold.usage, fold.bytes)]),
    room(fold),
  ]
}

function file({ backend, generation, entries, cursor, torn, holder }: FoldFacts): Finding {
  const held = holder === undefined ? 'nobody holds it' : `held by process ${holder.pid} on ${holder.host}`
  const message = `${backend === 'lmdb' ? 'LMDB, ' : ''}generation ${generation}, ${entries} entries at revision ${cursor.revision ?? 'none'}; ${held}`
  return torn === undefined || holder !== undefined
    ? ok('fold', message)
    : warning(
        'fold',
        `${message}; its last ${torn.bytes} bytes are an unfinished write`,
        'nothing: the next writer cuts them off, and is delivered what they held',
      )
}

function bound(fold: FoldFacts, lineage: Lineage | undefined): Finding {
  if (lineage === undefined)
    return warning(
      'binding',
      isLog2(fold)
        ? 'a log of generation 2 says neither which bucket it is of nor which keys were deleted: it is followed without checks of its lineage and its count'
        : 'the fold does not say which bucket it is of',
      isLog2(fold)
        ? 'convert it with slip convert --format 3, unless it is shared with the Rust system'
        : 'follow the bucket it is of: that is written into it',
    )
  const { name, whenEvicted, evictionSeen } = lineage.binding
  const seen = whenEvicted === 'keep' && evictionSeen ? ', and it remembers that the bucket evicted' : ''
  return ok('binding', `of ${name}, --when-evicted ${whenEvicted}${seen}`)
}

function resume(
  { cursor, entries }: FoldFacts,
  lineage: Lineage | undefined,
  source: SourceDescription,
): Finding {
  const { binding, anchors = [] } = lineage ?? {}
  const appliedAtMs = anchors.at(-1)?.timeMs ?? cursor.memo?.serverTimeMs
  const scope = binding === undefined || 'sha256' in binding.scope ? [''] : binding.scope
  const decision = protocol.attach({
    fold: { binding: binding && { ...binding, scope }, cursor, populated: entries > 0, appliedAtMs },
    source,
    scope,
    whenEvicted: binding?.whenEvicted ?? 'drop',
    repair: 'auto',
  })
  switch (decision.action) {
    case 'fresh':
      return ok('resume', 'it holds nothing yet: a follower reads the whole bucket')
    case 'resume':
    case 'reconcile': {
      const behind = (source.lastRevision ?? 0n) - (cursor.revision ?? 0n)
      return ok(
        'resume',
        `a follower receives what changed in the last ${behind} revisions, and nothing else`,
      )
    }
    case 'rebuild':
      return warning(
        'resume',
        `a follower will build the fold anew from the bucket (${decision.reason}); readers keep the old one until then`,
        'follow it, or expect the time of a whole read',
      )
    case 'restore':
    case 'refuse':
      return failure(
        'resume',
        `a follower ends with RepairRefused (${decision.reason}): a listing of the bucket would delete what the fold keeps`,
        'bootstrap another fold from an artifact, or follow with --when-evicted drop into another fold',
      )
    default:
      return failure(
        'resume',
        `the fold is of something else: its ${decision.differs} differs`,
        'name the bucket and scope it is of, or another fold, or set it aside with slip follow --on-foreign rebuild',
      )
  }
}

/** Counts speak only of one revision, which a live bucket leaves at once, and neither of what was skipped nor of a scope that is not known. */
function counted(
  fold: FoldFacts,
  lineage: Lineage | undefined,
  { keyCount, lastRevision }: SourceDescription,
): Finding | undefined {
  const { cursor, entries, deletedKeys } = fold
  if (isLog2(fold) || keyCount === undefined || cursor.revision !== lastRevision) return undefined
  if (lineage === undefined || lineage.skipped !== undefined) return undefined
  const { whenEvicted, scope } = lineage.binding
  if (whenEvicted === 'keep' || 'sha256' in scope) return undefined
  const held = BigInt(entries + deletedKeys)
  const message = `${held} keys in the fold, ${keyCount} in the bucket, both at revision ${lastRevision}`
  return held === keyCount
    ? ok('count', message)
    : failure('count', message, 'follow it: its audit builds it anew; slip diff says which keys differ')
}

function isLog2({ backend, generation }: FoldFacts): boolean {
  return backend === 'append-log' && generation === 2
}

/** A read transaction that stays open keeps every page that later commits replaced. */
function readers({ oldestReader, readers: count, freeBytes }: FoldUsage, bytes: number): Finding {
  const { pid, behind } = oldestReader ?? { behind: 0 }
  const oldest = behind === 0 ? '' : `, the oldest of process ${pid}, ${behind} commits behind`
  const message = `${count} read transactions in other processes${oldest}; ${freeBytes} of ${bytes} bytes wait to be used again`
  return behind >= FAR_BEHIND && freeBytes > bytes / 2
    ? warning(
        'readers',
        message,
        `refresh or close what process ${pid} reads with, then shrink the file with slip compact`,
      )
    : ok('readers', message)
}

function room({ backend, bytes, freeBytes }: FoldFacts): Finding {
  const message = `${freeBytes} bytes free beside a ${backend === 'lmdb' ? 'file' : 'log'} of ${bytes}`
  return freeBytes >= 2 * bytes
    ? ok('disk', message)
    : warning(
        'disk',
        `${message}: a compaction or a rebuild needs room for a second one`,
        'make room, or move the fold',
      )
}
