import { stat } from 'node:fs/promises'
import {
  appendLog,
  AppendLogReader,
  AppendLogSnapshot,
  verifyAppendLog,
  writeAppendLog,
} from '@slip/store-applog'
import type { FoldBackend, FoldVerdict } from './fold-backend.ts'
import { definedOnly } from './defined-only.ts'

export const LOG: FoldBackend = {
  name: 'append-log',

  open: async (path) => AppendLogReader.open({ path }),

  async verify(path): Promise<FoldVerdict> {
    const code = await stat(path).then(
      (facts) => (facts.isDirectory() ? 'EISDIR' : undefined),
      (error: unknown) => (error as NodeJS.ErrnoException).code,
    )
    if (code === 'EISDIR') return { verdict: 'foreign' }
    if (code === 'ENOTDIR' || code === 'ELOOP') return { verdict: 'missing' }
    return await verifyAppendLog(path)
  },

  place: (options) => appendLog({ path: options.path, ...definedOnly(options) }),

  async compact(path, options) {
    const reader = await AppendLogReader.open({ path })
    const format = reader.generation
    await reader.close()
    const store = await AppendLogSnapshot.open({ path, compact: false, format, ...definedOnly(options) })
    try {
      const { recovery } = store
      const { before, after } = await store.compact()
      return { before: before + (recovery?.bytes ?? 0), after, recovery }
    } finally {
      await store.close()
    }
  },

  write: async (path, source, format) => writeAppendLog(path, source, { format }),
}
