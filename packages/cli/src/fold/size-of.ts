import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Bytes of a file, or of the files in a directory. */
export async function sizeOf(path: string): Promise<number> {
  const facts = await stat(path)
  if (!facts.isDirectory()) return facts.size
  const inside = await readdir(path, { withFileTypes: true })
  const files = inside.filter((each) => each.isFile())
  const sizes = await Promise.all(files.map(async ({ name }) => (await stat(join(path, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}
