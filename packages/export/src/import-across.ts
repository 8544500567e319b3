import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  SnapshotError,
  WatchCursor,
  type FoldFacts,
  type FoldUpdates,
  type PayloadFile,
  type SnapshotLocation,
  type SnapshotStore,
} from '@slip/kv-core'
import { artifactFiles } from './artifact-files.ts'
import type { ReadablePayload } from './payload-formats.ts'
import { withStage } from './stage.ts'

/**
 * Makes a fold of a payload in a layout that its destination does not take as it is: the payload is copied
 * to a place of our own while it is hashed, read back there, and handed over as updates.
 */
export async function importAcross<S extends SnapshotStore>(
  files: readonly PayloadFile[],
  { format, version }: ReadablePayload,
  into: SnapshotLocation<S>,
  options: {
    readonly scratchDirectory?: string | undefined
    readonly signal?: AbortSignal | undefined
    readonly admit: (facts: FoldFacts) => void
  },
): Promise<void> {
  const { signal, scratchDirectory = tmpdir() } = options
  const place = join(scratchDirectory, `import-${randomUUID()}`)
  await withStage(place, signal, async (stage) => {
    for (const file of files) await copyFile(file, join(stage, file.name))
    const facts = await format.check(stage, version, { signal })
    options.admit(facts)
    const fold: FoldUpdates = {
      cursor: facts.cursor,
      lineage: facts.lineage,
      read: async (take) => format.updates(stage, version, take, { signal }),
    }
    if (into.create !== undefined) await into.create(fold, { signal })
    else if (into.adopt !== undefined && into.backend === format.backend) await into.adopt(stage, { signal })
    else await fillStaged(into, fold, signal)
  })
}

async function copyFile(file: PayloadFile, path: string): Promise<void> {
  const target = await artifactFiles.open(path, 'create')
  try {
    let position = 0
    for await (const bytes of file.read())
      for (let at = 0; at < bytes.length;) {
        const { bytesWritten } = await target.write(bytes, at, bytes.length - at, position)
        at += bytesWritten
        position += bytesWritten
      }
  } finally {
    await target.close()
  }
}

async function fillStaged<S extends SnapshotStore>(
  into: SnapshotLocation<S>,
  fold: FoldUpdates,
  signal: AbortSignal | undefined,
): Promise<void> {
  const store = await into.open({ signal })
  try {
    const staged = await store.stage?.({ signal })
    if (staged === undefined)
      throw new SnapshotError('Backend', `a fold in ${into.backend} cannot be made in one step`)
    try {
      await fold.read(async (updates) => staged.apply(updates, WatchCursor.none))
      await staged.apply([], fold.cursor, fold.lineage === undefined ? {} : { lineage: fold.lineage })
      await staged.commit()
    } catch (error) {
      await staged.discard()
      throw error
    }
  } finally {
    await store.close()
  }
}
