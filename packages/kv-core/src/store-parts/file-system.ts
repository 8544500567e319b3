import { fdatasync, fsync } from 'node:fs'
import {
  constants,
  link,
  mkdir,
  open,
  readFile,
  readdir,
  realpath,
  rename,
  stat,
  unlink,
} from 'node:fs/promises'
import { promisify } from 'node:util'

export interface FileFacts {
  readonly size: number
  readonly ino: number
  readonly dev: number
  readonly mtimeMs: number
}

/** An open file. Reads and writes are positional and may be short. */
export interface LogHandle {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>
  write(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesWritten: number }>
  truncate(length: number): Promise<void>
  datasync(): Promise<void>
  sync(): Promise<void>
  stat(): Promise<FileFacts>
  utimes(atime: Date, mtime: Date): Promise<void>
  close(): Promise<void>
}

/** `create` makes a new file and fails when one exists; `update` opens one for reading and writing. */
export type OpenMode = 'read' | 'update' | 'create'

/** The part of `node:fs/promises` a store uses: where tests put full disks and failing calls. */
export interface FileSystem {
  open(path: string, mode: OpenMode): Promise<LogHandle>
  rename(from: string, to: string): Promise<void>
  link(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  stat(path: string): Promise<FileFacts>
  readFile(path: string): Promise<Uint8Array>
  readdir(path: string): Promise<string[]>
  realpath(path: string): Promise<string>
  mkdir(path: string): Promise<void>
  /** Makes a rename, a link or a new file in `directory` survive power loss. */
  syncDirectory(directory: string): Promise<void>
}

const OPEN_FLAGS: Record<OpenMode, number> = {
  read: constants.O_RDONLY,
  update: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
}

/** The real one. Files are made 0600, directories 0700. */
export const nodeFileSystem: FileSystem = {
  open: async (path, mode) => open(path, OPEN_FLAGS[mode], 0o600),
  rename,
  link,
  unlink,
  stat,
  readFile,
  readdir: async (path) => readdir(path),
  realpath: async (path) => realpath(path),
  mkdir: async (path) => {
    await mkdir(path, { recursive: true, mode: 0o700 })
  },
  syncDirectory: async (directory) => {
    // Windows cannot open a directory; its file system journals names itself.
    if (process.platform === 'win32') return
    const handle = await open(directory, constants.O_RDONLY)
    try {
      await syncAll(handle.fd)
    } finally {
      await handle.close()
    }
  },
}

/**
 * Makes what was written to an open file survive power loss. By its descriptor: the FileHandle that
 * Yarn's Plug'n'Play puts in place of Node's cannot sync.
 */
export const syncData: (descriptor: number) => Promise<void> = promisify(fdatasync)

const syncAll: (descriptor: number) => Promise<void> = promisify(fsync)

/** The `code` of a system error, such as `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : undefined
}
