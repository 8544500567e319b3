import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Bytes of a file, or of all files of a directory; 0 when `name` is no path that can be looked at. */
export async function keptSize(name: string): Promise<number> {
  try {
    return await sizeOf(name)
  } catch {
    return 0
  }
}

/** Node's own walk goes through symbolic links in some releases (26), and in others it does not. */
async function sizeOf(path: string): Promise<number> {
  const facts = await lstat(path)
  if (facts.isFile()) return facts.size
  if (!facts.isDirectory()) return 0
  let bytes = 0
  for (const name of await readdir(path)) bytes += await sizeOf(join(path, name))
  return bytes
}
