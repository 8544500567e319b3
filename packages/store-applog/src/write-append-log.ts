import { Slices, type FoldReader, type ListedKey, type WaitOptions } from '@slip/kv-core'
import { nodeFileSystem, type FileSystem } from '@slip/kv-core/store-parts'
import { alreadyExists, isThere } from './locked-path.ts'
import { LogDraft } from './log-draft.ts'
import type { Generation } from './log-header.ts'
import { canonicalPath, DRAFT_SUFFIX } from './log-path.ts'
import { UpdateWriter } from './update-writer.ts'

/** What `writeAppendLog` copies: a fold that does not change meanwhile, such as a view or a reader. */
export interface FoldSource extends Pick<FoldReader, 'entries' | 'cursor'> {
  readonly lineage?: Uint8Array | undefined
  deletedKeys?(): Iterable<ListedKey>
}

/**
 * Writes a fold as a new log in its compacted form; with `format: 2` byte for byte as the Rust system
 * would. Generation 2 keeps neither lineage nor the names of deleted keys. SnapshotError
 * `AlreadyExists` when there is a file, `LimitExceeded` for what the format cannot hold; a failure
 * leaves no file.
 */
export async function writeAppendLog(
  path: string,
  source: FoldSource,
  options: { readonly format?: Generation } & WaitOptions = {},
  files: FileSystem = nodeFileSystem,
): Promise<{ readonly entries: number; readonly bytes: number }> {
  const format = options.format ?? 3
  const target = await canonicalPath(files, path, true)
  if (await isThere(files, target)) throw alreadyExists(target)
  const draft = await LogDraft.create(files, `${target}${DRAFT_SUFFIX.adoption}`, format)
  let entries = 0
  try {
    const slices = new Slices('applog.write')
    const writer = new UpdateWriter(draft)
    for (const entry of source.entries()) {
      await writer.add({ operation: 'put', ...entry })
      entries++
      if ((entries & 63) === 0 && slices.due()) {
        await slices.pause()
        options.signal?.throwIfAborted()
      }
    }
    if (format === 3)
      for (const { key, version } of source.deletedKeys?.() ?? []) {
        await writer.add({ operation: 'delete', key, version })
        if (slices.due()) await slices.pause()
      }
    await draft.finishBase(source.cursor.toBytes(), format === 3 ? source.lineage : undefined)
    await draft.seal()
  } catch (error) {
    await draft.discard()
    throw error
  }
  const bytes = draft.end
  if (!(await draft.publishNew(target))) throw alreadyExists(target)
  return { entries, bytes }
}
