import { nodeFileSystem, type FileSystem, type LogHandle } from '@slip/kv-core/store-parts'

export type Call =
  | 'read'
  | 'stat'
  | 'write'
  | 'datasync'
  | 'truncate'
  | 'close'
  | 'rename'
  | 'link'
  | 'unlink'
  | 'open'
  | 'syncDirectory'

/** What becomes of a call: nothing, an error, or a write that takes only so many bytes. */
export type Verdict = undefined | { readonly code: string } | { readonly takes: number }

/** The real file system, where `judge` decides about each call before it is made. */
export function faultyFileSystem(judge: (call: Call, path: string) => Verdict): FileSystem {
  const guarded = async <T>(call: Call, path: string, work: () => Promise<T>): Promise<T> => {
    refuse(judge(call, path), call)
    return work()
  }
  return {
    ...nodeFileSystem,
    open: async (path, mode) =>
      guarded('open', path, async () => wrap(await nodeFileSystem.open(path, mode), path, judge)),
    rename: async (from, to) => guarded('rename', from, async () => nodeFileSystem.rename(from, to)),
    link: async (from, to) => guarded('link', from, async () => nodeFileSystem.link(from, to)),
    unlink: async (path) => guarded('unlink', path, async () => nodeFileSystem.unlink(path)),
    syncDirectory: async (path) =>
      guarded('syncDirectory', path, async () => nodeFileSystem.syncDirectory(path)),
  }
}

function wrap(handle: LogHandle, path: string, judge: (call: Call, path: string) => Verdict): LogHandle {
  const plain = {
    sync: handle.sync.bind(handle),
    utimes: handle.utimes.bind(handle),
  }
  return {
    ...plain,
    read: async (buffer, offset, length, position) => {
      refuse(judge('read', path), 'read')
      return handle.read(buffer, offset, length, position)
    },
    stat: async () => {
      refuse(judge('stat', path), 'stat')
      return handle.stat()
    },
    write: async (buffer, offset, length, position) => {
      const verdict = judge('write', path)
      if (verdict === undefined) return handle.write(buffer, offset, length, position)
      if ('takes' in verdict) return handle.write(buffer, offset, Math.min(length, verdict.takes), position)
      // A full disk first takes what still fits.
      await handle.write(buffer, offset, length >> 1, position)
      throw failure(verdict.code, 'write')
    },
    truncate: async (length) => {
      refuse(judge('truncate', path), 'truncate')
      await handle.truncate(length)
    },
    datasync: async () => {
      refuse(judge('datasync', path), 'datasync')
      await handle.datasync()
    },
    close: async () => {
      const verdict = judge('close', path)
      await handle.close()
      refuse(verdict, 'close')
    },
  }
}

function refuse(verdict: Verdict, call: Call): void {
  if (verdict !== undefined && 'code' in verdict) throw failure(verdict.code, call)
}

function failure(code: string, call: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${call}`), { code })
}
