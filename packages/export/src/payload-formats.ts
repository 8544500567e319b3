import type { PayloadFormat } from '@slip/kv-core'
import { refused } from './artifact-error.ts'
import { interchangePayload } from './generation-2.ts'
import type { Manifest } from './manifest.ts'
import { shown } from './manifest-fields.ts'
import { recordsPayload } from './records/records-payload.ts'

/** Where the format of a store is found when it is installed: a module, and the name it has there. */
const INSTALLED: Readonly<Record<string, readonly [module: string, name: string]>> = {
  'append-log': ['@slip/store-applog', 'appendLogPayload'],
  lmdb: ['@slip/store-lmdb', 'lmdbPayload'],
}

/** How the payload of an artifact is read, and what its files are called. */
export interface ReadablePayload {
  readonly format: PayloadFormat
  readonly version: string
  readonly names: readonly string[]
}

/**
 * The first of `known` that reads the payload of this manifest; else that of an installed store.
 * SnapshotError `ArtifactInvalid` when there is none, or when the manifest lists other files than that
 * layout has: from here on its names are those of the format.
 */
export async function payloadOf(
  manifest: Manifest,
  known: readonly (PayloadFormat | undefined)[],
): Promise<ReadablePayload> {
  const { backend, backendVersion: version, files, schemaVersion } = manifest
  if (schemaVersion !== 101 && backend !== 'append-log')
    throw refused(`its backend ${shown(backend)} is not append-log`)
  if (schemaVersion !== 101 && version !== '2')
    throw refused(`its backend_version ${shown(version)} is not 2`)
  const reads = (format: PayloadFormat | undefined): format is PayloadFormat =>
    format !== undefined && format.backend === backend && Object.hasOwn(format.layouts, version)
  const format =
    known.find(reads) ?? [interchangePayload, recordsPayload, await installed(backend)].find(reads)
  if (format === undefined)
    throw refused(`its payload, ${shown(backend)} in version ${shown(version)}, cannot be read here`)
  const names = format.layouts[version]!
  const listed = new Set(files.map(({ path }) => path))
  for (const name of names)
    if (!listed.delete(`data/${name}`)) throw refused(`its manifest does not list data/${name}`)
  for (const path of listed)
    throw refused(`its manifest lists ${shown(path)}, which is no part of its payload`)
  return { format, version, names }
}

async function installed(backend: string): Promise<PayloadFormat | undefined> {
  const [module, name] = (Object.hasOwn(INSTALLED, backend) ? INSTALLED[backend] : undefined) ?? []
  if (module === undefined || name === undefined) return undefined
  return (import(module) as Promise<Record<string, PayloadFormat>>).then(
    (exports) => exports[name],
    () => undefined,
  )
}
