import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'

/** The regular files of a closed fold by their paths in it; one with the path '' where the fold is a file. */
export type FoldFiles = ReadonlyMap<string, Uint8Array>

export async function readFold(path: string): Promise<FoldFiles> {
  if ((await stat(path)).isFile()) return new Map([['', await readFile(path)]])
  const names = (await filesBelow(path)).map((file) => relative(path, file)).toSorted()
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(path, name))] as const)),
  )
}

/** Node's own walk goes through symbolic links in some releases (26), and in others it does not. */
async function filesBelow(directory: string): Promise<string[]> {
  const found: string[] = []
  for (const each of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, each.name)
    if (each.isFile()) found.push(path)
    else if (each.isDirectory()) found.push(...(await filesBelow(path)))
  }
  return found
}

/** Lays the files out at `path`, where nothing is yet. */
export async function writeFold(path: string, files: FoldFiles): Promise<void> {
  for (const [name, bytes] of files) {
    const file = join(path, name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, bytes)
  }
}
