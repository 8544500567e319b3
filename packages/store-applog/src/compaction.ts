import { SnapshotError, Slices, type WatchCursor } from '@slip/kv-core'
import type { LogHandle } from '@slip/kv-core/store-parts'
import type { LogDraft } from './log-draft.ts'
import type { Generation } from './log-header.ts'
import type { RecordWalk } from './memory/record-walk.ts'
import { scanGeneration2 } from './recovery-2.ts'
import { scanGeneration3 } from './recovery-3.ts'
import { scanFile } from './run-scan.ts'

/** When a log is rewritten without its garbage; `false`: never by itself. */
export type CompactionPolicy =
  | false
  | {
      /** Share of the file that must be garbage, above 0 and below 1. @default 0.5 */
      readonly garbageShare?: number
      /** Size the file must have. @default 16 MiB */
      readonly minBytes?: number
    }

const DEFAULT_GARBAGE_SHARE = 0.5
const DEFAULT_MIN_BYTES = 16 * 1024 * 1024

/**
 * Whether a log of `fileBytes` whose compacted form takes `liveBytes` is due. With the defaults as
 * much as the live data was appended since the last time: what compaction writes is at most what the
 * applies wrote.
 */
export function compactionDue(policy: CompactionPolicy, fileBytes: number, liveBytes: number): boolean {
  if (policy === false) return false
  const minBytes = policy.minBytes ?? DEFAULT_MIN_BYTES
  const share = policy.garbageShare ?? DEFAULT_GARBAGE_SHARE
  return fileBytes >= minBytes && fileBytes - liveBytes > share * fileBytes
}

/** `RangeError` for a policy that would never come to an end or never begin. */
export function mustBePolicy(policy: CompactionPolicy): void {
  if (policy === false) return
  const { garbageShare = DEFAULT_GARBAGE_SHARE, minBytes = DEFAULT_MIN_BYTES } = policy
  if (!(garbageShare > 0 && garbageShare < 1))
    throw new RangeError('compact.garbageShare lies between 0 and 1')
  if (!(minBytes >= 0)) throw new RangeError('compact.minBytes is a number of bytes')
}

/** Writes every record of the walk as the base of the draft, in slices and stretches of 256 KiB. */
export async function writeBase(
  draft: LogDraft,
  walk: RecordWalk,
  cursor: WatchCursor,
  lineage: Uint8Array | undefined,
  signal?: AbortSignal,
): Promise<number> {
  const slices = new Slices('applog.compact')
  let records = 0
  try {
    while (walk.next()) {
      const bytes = walk.end - walk.start
      if (!draft.fits(bytes)) {
        slices.end()
        await draft.writeHeld()
        signal?.throwIfAborted()
        slices.begin()
      }
      if (draft.fits(bytes)) draft.hold(walk.bytes, walk.start, walk.end)
      else await draft.writeLarge(walk.bytes, walk.start, walk.end)
      records++
      if ((records & 63) === 0 && slices.due()) await slices.pause()
    }
  } finally {
    walk.close()
  }
  await draft.finishBase(cursor.toBytes(), lineage)
  slices.end()
  return records
}

/** Where a stretch of whole commits lies. */
export interface LogStretch {
  readonly handle: LogHandle
  readonly generation: Generation
  readonly salt: Uint8Array
  readonly from: number
  readonly to: number
}

/**
 * Appends the commits of `stretch` to the draft, each as one commit, in the draft's own layout.
 * SnapshotError `Corrupted` when they do not read back as they were written.
 */
export async function copyCommits(draft: LogDraft, stretch: LogStretch, signal?: AbortSignal): Promise<void> {
  const { generation, from, to } = stretch
  const scan =
    generation === 3
      ? scanGeneration3({ salt: stretch.salt, baseEnd: from }, from, to)
      : scanGeneration2(from, to)
  const pending = new Pending()
  const sink = {
    records: (bytes: Uint8Array, start: number, end: number) => pending.add(bytes, start, end),
    commit: async (cursor: Uint8Array, lineage: Uint8Array | undefined) => {
      await draft.commitRecords(pending.bytes, 0, pending.length, cursor, lineage)
      pending.clear()
    },
  }
  const verdict = await scanFile(scan, stretch.handle, to, sink, new Slices('applog.compact'), { signal })
  if (verdict.verdict !== 'intact' || pending.length > 0)
    throw new SnapshotError('Corrupted', `the log does not read back at byte ${verdict.at}`, {
      at: verdict.at,
    })
}

class Pending {
  bytes: Uint8Array = new Uint8Array(64 * 1024)
  length = 0

  add(source: Uint8Array, from: number, to: number): void {
    const needed = this.length + to - from
    if (needed > this.bytes.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.bytes.length))
      larger.set(this.bytes.subarray(0, this.length))
      this.bytes = larger
    }
    this.bytes.set(source.subarray(from, to), this.length)
    this.length = needed
  }

  clear(): void {
    this.length = 0
  }
}
