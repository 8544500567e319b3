import {
  SnapshotError,
  type FoldFacts,
  type PayloadFormat,
  type SnapshotLocation,
  type SnapshotStore,
  type WaitOptions,
} from '@slip/kv-core'
import { mustAdmit, mustMatch, type ArtifactLimits, type ExpectedFold } from './admission.ts'
import { refused } from './artifact-error.ts'
import { importAcross } from './import-across.ts'
import type { Manifest } from './manifest.ts'
import { payloadFiles, readHead } from './open-artifact.ts'
import { payloadOf } from './payload-formats.ts'
import type { Progress } from './seal-artifact.ts'

export interface ImportOptions extends WaitOptions, ArtifactLimits {
  readonly expected?: ExpectedFold | undefined
  /** How payloads of other stores are read; those of @slip are found where they are installed. */
  readonly formats?: readonly PayloadFormat[] | undefined
  /** Where an artifact of another store's layout is kept while it is read. @default the system's temporary directory */
  readonly scratchDirectory?: string | undefined
  /** The bytes of the payload that were read and hashed. */
  readonly onProgress?: Progress | undefined
}

/**
 * Makes a new fold of an artifact, also of one that another store made: all of it or, after a failure, an
 * abort or a crash, none. Nothing of the payload is looked at before its digest matched, and no
 * name from the artifact reaches the file system. Gives the manifest, and of every schema how many entries there are.
 *
 * SnapshotError `ArtifactInvalid` says why an artifact is refused; `NotFound` when there is none,
 * `AlreadyExists` when there is a fold, `Busy`, `LimitExceeded` for what the destination cannot hold, `Io`.
 * A destination whose location can neither `receive` nor `create` is opened, and left empty by a failure
 * behind that.
 */
export async function importSnapshot<S extends SnapshotStore>(
  directory: string,
  into: SnapshotLocation<S>,
  options: ImportOptions = {},
): Promise<Manifest> {
  const { signal } = options
  signal?.throwIfAborted()
  const head = await readHead(directory)
  const { manifest } = head
  const payload = await payloadOf(manifest, [into.payload, ...(options.formats ?? [])])
  mustAdmit(head, options, options.expected ?? {})
  if (await into.exists())
    throw new SnapshotError('AlreadyExists', 'there is a fold at the destination already')
  const files = await payloadFiles(directory, manifest, payload.names, options)
  let entries: number | undefined
  const admit = (facts: FoldFacts): void => {
    mustMatch(facts, manifest)
    entries = facts.entries
  }
  try {
    if (into.receive !== undefined && payload.format === into.payload)
      await into.receive(files, { signal, admit })
    else await importAcross(files, payload, into, { ...options, admit })
  } catch (error) {
    throw asRefusal(error)
  }
  return entries === undefined ? manifest : { ...manifest, entries }
}

/** A payload whose digest matched and that cannot be read was made like that. */
export function asRefusal(error: unknown): unknown {
  if (!SnapshotError.is(error) || (error.code !== 'InvalidFormat' && error.code !== 'Corrupted')) return error
  return refused(`its payload cannot be read: ${error.message}`, { cause: error })
}
