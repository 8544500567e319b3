import { SnapshotError } from '@slip/kv-core'
import { LmdbReader, LmdbSnapshot } from '@slip/store-lmdb'

// Opens each fold it is told of, a line each, and says what it found: one process for many, until it is killed by one.
for await (const line of (await import('node:readline')).createInterface({ input: process.stdin })) {
  const { how, path, check } = JSON.parse(line)
  process.stdout.write(`${JSON.stringify(await found(how, path, check))}\n`)
}

async function found(how, path, check) {
  try {
    const fold =
      how === 'read'
        ? await LmdbReader.open({ path })
        : await LmdbSnapshot.open({ path, check, durability: 'os', verifyReads: true })
    try {
      const revision = Number(fold.cursor.revision ?? 0n)
      if (check === 'head') return { revision }
      const entries = [...fold.entries()].map(({ key, value }) => [
        key,
        Buffer.from(value).toString('latin1'),
      ])
      return { revision, entries, deleted: [...fold.deletedKeys()].map(({ key }) => key) }
    } finally {
      await fold.close()
    }
  } catch (error) {
    return SnapshotError.is(error) ? { code: error.code } : { crash: String(error) }
  }
}
