import { access, readdir } from 'node:fs/promises'
import { SnapshotError } from '@slip/kv-core'
import { UsageError } from '../output/usage-error.ts'

export interface FoldAddress {
  readonly backend: 'log' | 'lmdb'
  readonly path: string
}

/** `log:PATH` or `lmdb:PATH`. */
export function foldAddress(text: string): FoldAddress {
  const [, backend, path] = /^(log|lmdb):(.*)$/s.exec(text) ?? []
  if (backend === undefined) throw new UsageError(`'${text}' is not a fold: write log:PATH or lmdb:PATH`)
  if (path === '') throw new UsageError(`'${text}' names no file`)
  return { backend: backend as FoldAddress['backend'], path: path! }
}

/** The same, or a bare path, which is what is found there: a directory with anything in it may be LMDB's. */
export async function bareOrFoldAddress(text: string): Promise<FoldAddress> {
  if (/^(log|lmdb):/.test(text)) return foldAddress(text)
  if (text === '') throw new UsageError(`'${text}' names no file`)
  const names = await readdir(text).catch(() => [])
  return { backend: names.length === 0 ? 'log' : 'lmdb', path: text }
}

/** SnapshotError `NotFound` unless there is something. */
export async function mustExist({ path }: FoldAddress): Promise<void> {
  try {
    await access(path)
  } catch (cause) {
    throw new SnapshotError('NotFound', `there is no fold at ${path}`, { path, cause })
  }
}
