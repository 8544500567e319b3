import { rm } from 'node:fs/promises'
import { SnapshotError } from '@slip/kv-core'
import { lmdb, LmdbReader, LmdbSnapshot } from '@slip/store-lmdb'

// Opens each fold it is told of, a line each, and says what it found: one process for many, until it is killed by one.
for await (const line of (await import('node:readline')).createInterface({ input: process.stdin })) {
  const { how, path, check } = JSON.parse(line)
  process.stdout.write(`${JSON.stringify(await found(how, path, check))}\n`)
}

async function found(how, path, check) {
  try {
    if (how === 'walk') return await walked(path)
    if (how === 'copy') return await copied(path)
    if (how === 'adopt') return await adopted(path, `${path}-adopted`)
    const fold =
      how === 'read'
        ? await LmdbReader.open({ path })
        : await LmdbSnapshot.open({ path, check, durability: 'os', verifyReads: true, walk: false })
    return await using(fold, () => stateOf(fold, check !== 'head'))
  } catch (error) {
    return SnapshotError.is(error) ? { code: error.code } : { crash: String(error) }
  }
}

/** What is there once the walk has been through, or what it found. */
async function walked(path) {
  const walk = { everyMs: 1, bytesPerSecond: 2 ** 32 }
  const store = await LmdbSnapshot.open({ path, durability: 'os', walk })
  return using(store, async () => {
    const damaged = new Promise((resolve) => store.whenDamaged(resolve))
    const whole = async () => {
      while (store.walked.rounds === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const damage = await Promise.race([damaged, whole()])
    return damage === undefined ? stateOf(store, true) : { code: damage.code, by: 'walk' }
  })
}

async function copied(path) {
  const store = await LmdbSnapshot.open({ path, durability: 'os', walk: false })
  const payload = `${path}-payload`
  await using(store, () => store.copyTo(payload))
  try {
    return await adopted(payload, `${path}-copy`)
  } finally {
    await rm(payload, { recursive: true })
  }
}

async function adopted(payload, path) {
  try {
    await lmdb({ path }).adopt(payload)
    const store = await LmdbSnapshot.open({ path, durability: 'os', walk: false })
    return await using(store, () => stateOf(store, true))
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}

async function using(fold, work) {
  try {
    return await work()
  } finally {
    await fold.close()
  }
}

function stateOf(fold, whole) {
  const revision = Number(fold.cursor.revision ?? 0n)
  if (!whole) return { revision }
  const entries = [...fold.entries()].map(({ key, value }) => [key, Buffer.from(value).toString('latin1')])
  const hidden = entries.map(([key]) => key).filter((key) => fold.get(key)?.key !== key || !fold.has(key))
  const deleted = [...fold.deletedKeys()].map(({ key }) => key)
  return { revision, entries, deleted, ...(hidden.length === 0 ? {} : { hidden }) }
}
