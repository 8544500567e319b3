import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Bytes of a file, or of all files of a directory; 0 when `name` is no path that can be looked at. */
export async function keptSize(name: string): Promise<number> {
  try {
    const kept = await lstat(name)
    if (!kept.isDirectory()) return kept.size
    const inside = await readdir(name, { recursive: true, withFileTypes: true })
    const files = inside.filter((each) => each.isFile())
    const sizes = await Promise.all(files.map((file) => lstat(join(file.parentPath, file.name))))
    return sizes.reduce((sum, { size }) => sum + size, 0)
  } catch {
    return 0
  }
}
