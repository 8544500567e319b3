import { open } from 'node:fs/promises'
import { UsageError } from './usage-error.ts'

/** UsageError unless `path` is a file that can be read. */
export async function mustBeReadable(path: string, command?: string): Promise<void> {
  try {
    const file = await open(path)
    const isDirectory = (await file.stat()).isDirectory()
    await file.close()
    if (isDirectory) throw Object.assign(new Error('a directory'), { code: 'EISDIR' })
  } catch (error) {
    throw unreadable(path, error, command)
  }
}

/** What to say of a file that an option or a word names and that cannot be read. */
export function unreadable(path: string, error: unknown, command?: string): UsageError {
  const { code } = error as NodeJS.ErrnoException
  return new UsageError(`${path} cannot be read: ${code ?? 'error'}`, command)
}
