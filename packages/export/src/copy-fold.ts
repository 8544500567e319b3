import { join } from 'node:path'
import {
  SnapshotError,
  VersionToken,
  WatchCursor,
  type Binding,
  type FoldFacts,
  type ListedKey,
  type SnapshotStore,
} from '@slip/kv-core'
import { artifactFiles } from './artifact-files.ts'
import { INTERCHANGE_FILE, interchangePayload, writeInterchangeLog } from './generation-2.ts'
import type { Manifest } from './manifest.ts'
import { bindingOf } from './manifest-binding.ts'
import { RECORDS_FILE, recordsPayload, writeRecords } from './records/records-payload.ts'

/** What can be exported besides a store: a reader of one. */
export type ExportableFold = Pick<SnapshotStore, 'entries' | 'cursor' | 'lineage'> &
  Partial<Pick<SnapshotStore, 'copyTo' | 'payload' | 'view' | 'stats'>> & {
    readonly deletedKeys?: (() => Iterable<ListedKey>) | undefined
  }

/** Gives the fold that is to be copied; `pinned` says that applies to it may go on. */
export type CopyFold = <R>(work: (fold: ExportableFold, pinned: () => void) => Promise<R>) => Promise<R>

/** A payload that was written and read back. */
export interface Copied {
  readonly names: readonly string[]
  readonly manifest: Omit<Manifest, 'createdAtUnix' | 'files'>
}

/** The store's own copy of itself. */
export async function copyNative(
  copy: CopyFold,
  directory: string,
  signal: AbortSignal | undefined,
): Promise<Copied> {
  return copy(async (fold, pinned) => {
    const { payload } = fold
    if (fold.copyTo === undefined || payload === undefined)
      throw new SnapshotError(
        'Backend',
        'the store cannot copy itself: only an interchange artifact can be made',
      )
    const { cursor, files } = await fold.copyTo(directory, { signal, onPinned: pinned })
    const [version] =
      Object.entries(payload.layouts).find(
        ([, names]) => names.length === files.length && names.every((name) => files.includes(name)),
      ) ?? []
    if (version === undefined)
      throw new SnapshotError('Backend', `the copy is none of the layouts of ${payload.backend}`)
    const facts = await payload.check(directory, version, { signal })
    mustHold(facts, cursor)
    const binding = bindingOf(facts.lineage)
    return {
      names: files,
      manifest: {
        schemaVersion: 101,
        backend: payload.backend,
        backendVersion: version,
        cursor: facts.cursor,
        entries: facts.entries,
        ...(binding === undefined ? {} : { binding }),
      },
    }
  })
}

/** Records in key order, from any store. */
export async function copyRecords(
  copy: CopyFold,
  directory: string,
  signal: AbortSignal | undefined,
): Promise<Copied> {
  return copy(async (fold, pinned) => {
    const { cursor, lineage } = fold
    const view = fold.view?.()
    // A view that does not know the deleted keys is of no use where the fold does.
    const pins = view !== undefined && (fold.deletedKeys === undefined || view.deletedKeys !== undefined)
    const source = pins ? view : fold
    if (pins) pinned()
    try {
      const file = await artifactFiles.open(join(directory, RECORDS_FILE), 'create')
      let written
      try {
        written = await writeRecords(
          file,
          {
            cursor,
            lineage,
            entries: () => source.entries(),
            deletedKeys: () => (fold.deletedKeys === undefined ? [] : (source.deletedKeys?.() ?? [])),
          },
          { signal },
        )
      } finally {
        await file.close()
      }
      const facts = await recordsPayload.check(directory, '1', { signal })
      mustHold(facts, cursor, written.entries)
      const binding = bindingOf(facts.lineage)
      return {
        names: [RECORDS_FILE],
        manifest: {
          schemaVersion: 101,
          backend: recordsPayload.backend,
          backendVersion: '1',
          cursor,
          entries: facts.entries,
          ...(binding === undefined ? {} : { binding }),
        },
      }
    } finally {
      view?.close()
    }
  })
}

/** A compacted log of generation 2. */
export async function copyInterchange(
  copy: CopyFold,
  directory: string,
  options: {
    readonly interchange: 1 | 2
    readonly scope?: readonly string[] | undefined
    readonly signal?: AbortSignal | undefined
    readonly onBinding?: ((binding: Binding | undefined) => void) | undefined
  },
): Promise<Copied> {
  const { interchange, signal } = options
  const path = join(directory, INTERCHANGE_FILE)
  return copy(async (fold, pinned) => {
    const binding = bindingOf(fold.lineage)
    options.onBinding?.(binding)
    const scope = options.scope ?? statedScope(binding)
    if (interchange === 2 && scope === undefined)
      throw new TypeError('the scope of the fold is not known: an artifact of schema 2 has to state it')
    const view = fold.view?.()
    // Without a view the fold must not change while it is read.
    if (view !== undefined) pinned()
    try {
      const cursor = withMemo(fold.cursor, binding)
      const entries = (): ReturnType<ExportableFold['entries']> => (view ?? fold).entries()
      const file = await artifactFiles.open(path, 'create')
      let written
      try {
        written = await writeInterchangeLog(file, { cursor, entries }, { signal })
        await file.sync()
      } finally {
        await file.close()
      }
      const facts = await interchangePayload.check(directory, '2', { signal })
      mustHold(facts, cursor, written.entries)
      return {
        names: [INTERCHANGE_FILE],
        manifest: {
          schemaVersion: interchange,
          backend: 'append-log',
          backendVersion: '2',
          cursor,
          ...(interchange === 2 ? { scope: scope! } : {}),
        },
      }
    } finally {
      view?.close()
    }
  })
}

/** Whatever the copy holds was just written: anything else is a fault of the disk or of the store. */
function mustHold(facts: FoldFacts, cursor: WatchCursor, entries: number = facts.entries): void {
  if (!facts.cursor.equals(cursor) || facts.entries !== entries)
    throw new SnapshotError('Corrupted', 'the copy does not hold what was written to it')
}

function statedScope(binding: Binding | undefined): readonly string[] | undefined {
  return binding === undefined || 'sha256' in binding.scope ? undefined : binding.scope
}

/** Generation 2 has no other place for what was seen of eviction. */
function withMemo(cursor: WatchCursor, binding: Binding | undefined): WatchCursor {
  return cursor.memo === undefined && binding?.evictionSeen === true
    ? WatchCursor.fromToken(VersionToken.fromBytes(cursor.token.toBytes()), { evictionSeen: true })
    : cursor
}
