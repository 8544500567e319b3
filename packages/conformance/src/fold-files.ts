import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'

/** The regular files of a closed fold by their paths in it; one with the path '' where the fold is a file. */
export type FoldFiles = ReadonlyMap<string, Uint8Array>

export async function readFold(path: string): Promise<FoldFiles> {
  if ((await stat(path)).isFile()) return new Map([['', await readFile(path)]])
  const found = await readdir(path, { recursive: true, withFileTypes: true })
  const files = found.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name))
  const names = files.map((file) => relative(path, file)).toSorted()
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(path, name))] as const)),
  )
}

/** Lays the files out at `path`, where nothing is yet. */
export async function writeFold(path: string, files: FoldFiles): Promise<void> {
  for (const [name, bytes] of files) {
    const file = join(path, name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, bytes)
  }
}
