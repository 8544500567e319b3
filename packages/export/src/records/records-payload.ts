import { join } from 'node:path'
import {
  Slices,
  type FoldFacts,
  type FoldReader,
  type KvEntry,
  type ListedKey,
  type PayloadFormat,
  type TakeUpdates,
} from '@slip/kv-core'
import { UpdateBatches, utf8Bytes, type LogHandle } from '@slip/kv-core/store-parts'
import { withFileWindow } from '../file-window.ts'
import { StretchWriter } from '../stretch-writer.ts'
import { encodeEnd, encodeRecord, updateOf } from './record.ts'
import { decodeHeader, encodeHeader } from './record-header.ts'
import { RecordStream } from './record-stream.ts'

/** The payload of an artifact whose uploads and downloads move what changed. */
export const RECORDS_FILE = 'fold.records'

/** A fold that does not change while it is read. */
export interface RecordedFold extends Pick<FoldReader, 'entries' | 'cursor'> {
  readonly lineage: Uint8Array | undefined
  readonly deletedKeys: () => Iterable<ListedKey>
}

/**
 * Writes a fold to an open, empty file as records: live and deleted keys together in key-byte order. The same state
 * gives the same bytes, whatever store it is in. SnapshotError `LimitExceeded` for a key above 65,535 bytes or a value
 * above 64 MiB.
 */
export async function writeRecords(
  file: LogHandle,
  fold: RecordedFold,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<{ readonly entries: number }> {
  const out = new StretchWriter(file)
  const slices = new Slices('export.records')
  const all = inOrder(fold.entries(), fold.deletedKeys()[Symbol.iterator]())
  let [entries, deleted] = [0, 0]
  await out.add(encodeHeader(fold))
  for (const each of all) {
    if ('value' in each) entries++
    else deleted++
    const record = encodeRecord(each)
    if (out.fits(record.length)) out.put(record)
    else {
      await out.add(record)
      slices.begin()
    }
    if (((entries + deleted) & 63) === 0 && slices.due()) {
      await slices.pause()
      signal?.throwIfAborted()
    }
  }
  await out.add(encodeEnd({ entries, deleted }))
  await out.flush()
  slices.end()
  return { entries }
}

/** Live and deleted keys together, as each of both comes in key-byte order. */
function* inOrder(
  entries: Iterable<KvEntry>,
  removals: Iterator<ListedKey, unknown>,
): Generator<KvEntry | ListedKey> {
  const next = (): { readonly removal: ListedKey; readonly bytes: Uint8Array } | undefined => {
    const { done, value } = removals.next()
    return done === true ? undefined : { removal: value, bytes: utf8Bytes(value.key) }
  }
  let ahead = next()
  for (const entry of entries) {
    for (; ahead !== undefined && Buffer.compare(ahead.bytes, utf8Bytes(entry.key)) < 0; ahead = next())
      yield ahead.removal
    yield entry
  }
  for (; ahead !== undefined; ahead = next()) yield ahead.removal
}

/** A fold as records in key order: one file, the same for every store. */
export const recordsPayload: PayloadFormat = {
  backend: 'records',
  layouts: { 1: [RECORDS_FILE] },
  check: async (directory, _version, { signal } = {}) => readRecords(directory, undefined, signal),
  updates: async (directory, _version, take, { signal } = {}) => {
    await readRecords(directory, take, signal)
  },
}

async function readRecords(
  directory: string,
  take: TakeUpdates | undefined,
  signal: AbortSignal | undefined,
): Promise<FoldFacts> {
  return withFileWindow(join(directory, RECORDS_FILE), async (window) => {
    const { header, records } = await RecordStream.ofPayload(window, signal)
    const batches = take === undefined ? undefined : new UpdateBatches('export.updates', take, { signal })
    for (;;) {
      const record = records.step() ?? (await records.advance())
      if (record === undefined) break
      if (record.kind === 'end') continue
      const update = updateOf(record, window)
      if (batches !== undefined) await batches.add(update)
    }
    if (!records.ended) throw window.wrong('Corrupted', 'it is cut short')
    await batches?.end()
    return { ...decodeHeader(header), entries: records.counts.entries }
  })
}
