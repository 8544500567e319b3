import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeLineage, type Binding, type ObjectStore } from '@slip/kv-core'
import { exportSnapshot, type ExportOptions, type Manifest } from '@slip/export'
import { appendLog } from '@slip/store-applog'
import { BINDING } from './folds.ts'
import { at, put, scratch } from './scratch.ts'

/** An artifact of a fold with one key, at a position, of a history. */
export async function artifactAt(
  revision: number,
  options: ExportOptions & { readonly binding?: Partial<Binding> | undefined; readonly value?: string } = {},
): Promise<{ readonly directory: string; readonly manifest: Manifest }> {
  const { binding = {}, value = `value at ${revision}`, ...rest } = options
  const parent = await scratch()
  const store = await appendLog({ path: join(parent, 'fold') }).open()
  const lineage = encodeLineage({ binding: { ...BINDING, ...binding }, anchors: [] })
  await store.apply([put('route.key', value, revision)], at(revision), { lineage })
  const directory = join(parent, 'artifact')
  const manifest = await exportSnapshot(store, directory, rest)
  await store.close()
  return { directory, manifest }
}

/** Parts of a store in the place of its own. */
export function overStore(store: ObjectStore, parts: Partial<ObjectStore>): ObjectStore {
  return {
    capabilities: store.capabilities,
    get: (name, options) => store.get(name, options),
    put: (name, body, options) => store.put(name, body, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (name, options) => store.delete(name, options),
    ...parts,
  }
}

export async function namesIn(store: ObjectStore, prefix = ''): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of store.list(prefix)) names.push(name)
  return names.sort()
}

/** Puts files by their paths below a new directory. */
export async function filesIn(files: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const directory = await scratch()
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(join(directory, path, '..'), { recursive: true })
    await writeFile(join(directory, path), bytes)
  }
  return directory
}
