import { execFile } from 'node:child_process'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { SnapshotError } from '@slip/kv-core'
import { describe, expect, test, vi } from 'vitest'
import { AppendLogReader } from '../src/append-log-reader.ts'
import { AppendLogSnapshot } from '../src/append-log-snapshot.ts'
import { encodeHeader, HEADER_3_BYTES, newSalt } from '../src/log-header.ts'
import { verifyAppendLog } from '../src/verify-append-log.ts'
import { faultyFileSystem, type Call, type Verdict } from './faulty-file-system.ts'
import { at, put, scratch, seededRandom } from './scratch.ts'

const VALUE = new Uint8Array(700).fill(5)

describe.each([2, 3] as const)('generation %i', (format) => {
  test('a disk that fills in the middle of a write, then has room again, loses nothing acknowledged', async () => {
    const path = join(await scratch(), 'log')
    let full = false
    const files = faultyFileSystem((call, of) =>
      full && call === 'write' && of === path ? { code: 'ENOSPC' } : undefined,
    )
    let store = await AppendLogSnapshot.open({ path, format }, files)
    let acknowledged = 0
    for (let i = 1; i <= 40; i++) {
      full = i % 7 === 0
      const applying = store.apply([put(`k${i}`, VALUE, i), put('last', `${i}`, i)], at(i))
      if (!full) {
        await applying
        acknowledged = i
        continue
      }
      await expect(applying).rejects.toMatchObject({ code: 'Io', path })
      expect((await stat(path)).size, 'the fragment is cut at once').toBe(store.stats.bytes)
      expect(store.cursor.revision).toBe(BigInt(acknowledged))
      expect(store.has(`k${i}`)).toBe(false)
      await expect(store.apply([], at(i))).rejects.toMatchObject({ code: 'Io' })
      expect(store.has(`k${acknowledged}`), 'reads go on').toBe(true)
      await store.close()
      // Opening needs no room.
      store = await AppendLogSnapshot.open({ path, format }, files)
      expect(store.cursor.revision).toBe(BigInt(acknowledged))
      full = false
      await store.apply([put(`k${i}`, VALUE, i), put('last', `${i}`, i)], at(i))
      acknowledged = i
    }
    await store.close()
    expect(await verifyAppendLog(path)).toMatchObject({ verdict: 'intact', entries: 41, cursor: at(40) })
  })

  test('a fragment that could not be cut at once is cut by the next opener', async () => {
    const path = join(await scratch(), 'log')
    let failing = false
    const files = faultyFileSystem((call, of) =>
      failing && of === path && (call === 'write' || call === 'truncate') ? { code: 'EIO' } : undefined,
    )
    const store = await AppendLogSnapshot.open({ path, format }, files)
    await store.apply([put('a', VALUE, 1)], at(1))
    const { size } = await stat(path)
    failing = true
    await expect(store.apply([put('b', VALUE, 2)], at(2))).rejects.toMatchObject({ code: 'Io' })
    await store.close()
    const fragment = (await stat(path)).size - size
    expect(fragment).toBeGreaterThan(0)
    const again = await AppendLogSnapshot.open({ path, format })
    expect(again.recovery).toEqual({ verdict: 'torn', at: size, bytes: fragment })
    await again.apply([put('b', VALUE, 2)], at(2))
    await again.close()
    expect(await verifyAppendLog(path)).toMatchObject({ verdict: 'intact', entries: 2 })
  })

  test('writes that take a few bytes at a time are finished', async () => {
    const path = join(await scratch(), 'log')
    const random = seededRandom('short writes')
    const files = faultyFileSystem((call, of) =>
      call === 'write' && of === path ? { takes: 1 + random(90) } : undefined,
    )
    const store = await AppendLogSnapshot.open({ path, format }, files)
    for (let i = 1; i <= 10; i++) await store.apply([put(`k${i}`, VALUE, i)], at(i))
    await store.close()
    expect(await verifyAppendLog(path)).toMatchObject({ verdict: 'intact', entries: 10 })
  })

  test.each([false, true])(
    'whichever call fails (for good: %s), everything acknowledged is there and nothing is wrong',
    async (persistent) => {
      const directory = await scratch()
      let failures = 0
      for (let failing = 1; ; failing++) {
        const path = join(directory, `log${failing}`)
        let calls = 0
        const files = faultyFileSystem((call, of) => {
          if (!of.startsWith(path) && call !== 'syncDirectory') return undefined
          calls++
          return calls === failing || (persistent && calls > failing) ? { code: 'EIO' } : undefined
        })
        const acknowledged = await tryAll(path, format, files)
        if (calls < failing) break
        failures++
        if (acknowledged === 0 && !(await exists(path))) continue
        const store = await AppendLogSnapshot.open({ path, format })
        const revision = Number(store.cursor.revision ?? 0n)
        expect(revision, `call ${failing}`).toBeGreaterThanOrEqual(acknowledged)
        for (let i = 1; i <= revision; i++) expect(store.has(`k${i}`), `call ${failing}, k${i}`).toBe(true)
        expect(store.stats.entries).toBe(revision)
        await store.close()
        expect((await readdir(directory)).filter((name) => /compacting|staged/.test(name))).toEqual([])
      }
      expect(failures).toBeGreaterThan(20)
    },
  )
})

/** Opens, applies, compacts, applies, closes, opening again where that is what one has to do. */
async function tryAll(
  path: string,
  format: 2 | 3,
  files: Parameters<typeof AppendLogSnapshot.open>[1],
): Promise<number> {
  let acknowledged = 0
  let store: AppendLogSnapshot | undefined
  try {
    store = await AppendLogSnapshot.open({ path, format, compact: false }, files)
    for (let i = 1; i <= 6; i++) {
      await store.apply([put(`k${i}`, VALUE, i)], at(i))
      acknowledged = i
      if (i === 2) await store.sync()
      // A failed compaction leaves the store usable; when it failed after the rename the next apply says so.
      if (i === 4) await store.compact().catch(mustBeTyped)
    }
  } catch (error) {
    mustBeTyped(error)
  }
  await store?.close().catch(mustBeTyped)
  return acknowledged
}

function mustBeTyped(error: unknown): void {
  if (!SnapshotError.is(error)) throw error
  expect(['Io', 'Corrupted', 'Closed']).toContain(error.code)
}

test.each<[Call, Verdict]>([
  ['write', { code: 'ENOSPC' }],
  ['datasync', { code: 'EIO' }],
  ['rename', { code: 'EIO' }],
  ['open', { code: 'EMFILE' }],
])('a compaction whose %s fails leaves the old log in use and no file behind', async (failing, verdict) => {
  const directory = await scratch()
  const path = join(directory, 'log')
  let broken = false
  const files = faultyFileSystem((call, of) =>
    broken && call === failing && of.endsWith('.compacting') ? verdict : undefined,
  )
  const store = await AppendLogSnapshot.open({ path, compact: false }, files)
  await store.apply([put('a', 'old', 1), put('a', 'new', 2)], at(2))
  const before = await readFile(path)
  broken = true
  await expect(store.compact()).rejects.toMatchObject({ code: 'Io' })
  expect((await readFile(path)).equals(before)).toBe(true)
  expect((await readdir(directory)).sort()).toEqual(['log', 'log.lock'])
  await store.apply([put('b', 'v', 3)], at(3))
  broken = false
  expect((await store.compact()).after).toBeLessThan(before.length + 60)
  await store.close()
  expect(await verifyAppendLog(path)).toMatchObject({ verdict: 'intact', entries: 2, cursor: at(3) })
})

test('after a failed sync the handle takes nothing more, and durable never claims what it cannot know', async () => {
  const path = join(await scratch(), 'log')
  let failing = false
  const files = faultyFileSystem((call, of) =>
    failing && call === 'datasync' && of === path ? { code: 'EIO' } : undefined,
  )
  const store = await AppendLogSnapshot.open({ path }, files)
  await store.apply([put('a', 'v', 1)], at(1))
  await store.sync()
  await store.apply([put('b', 'v', 2)], at(2))
  failing = true
  await expect(store.sync()).rejects.toMatchObject({ code: 'Io' })
  failing = false
  expect(store.durableCursor.revision).toBe(1n)
  await expect(store.sync()).rejects.toMatchObject({ code: 'Io' })
  await expect(store.apply([], at(3))).rejects.toMatchObject({ code: 'Io' })
  await store.close()
  const inode = (await stat(path)).ino
  const again = await AppendLogSnapshot.open({ path }, files)
  expect(again.cursor.revision).toBe(2n)
  expect(again.durableCursor.isNone, 'the kernel says a failed sync only once').toBe(true)
  expect((await again.sync()).revision).toBe(2n)
  expect((await stat(path)).ino, 'a rewrite makes it durable').not.toBe(inode)
  await again.close()
})

describe('the header of an empty log', () => {
  const header = encodeHeader({ salt: newSalt(), baseEnd: HEADER_3_BYTES })

  test('that could not be synced when the log was made is synced before anything is written after it', async () => {
    const path = join(await scratch(), 'log')
    const calls: Call[] = []
    let failing = true
    const files = faultyFileSystem((call, of) => {
      if (of !== path) return undefined
      if (call === 'write' || call === 'datasync') calls.push(call)
      return failing && call === 'datasync' ? { code: 'EIO' } : undefined
    })
    const store = await AppendLogSnapshot.open({ path }, files)
    failing = false
    calls.length = 0
    await store.apply([put('a', 'v', 1)], at(1))
    expect(calls).toEqual(['write', 'datasync', 'write'])
    await store.apply([put('b', 'v', 2)], at(2))
    expect(calls).toEqual(['write', 'datasync', 'write', 'write'])
    await store.close()
    expect(await verifyAppendLog(path)).toMatchObject({ verdict: 'intact', entries: 2 })
  })

  test('that cannot be synced then either leaves an empty log', async () => {
    const path = join(await scratch(), 'log')
    let failing = true
    const files = faultyFileSystem((call, of) =>
      failing && of === path && call === 'datasync' ? { code: 'EIO' } : undefined,
    )
    const store = await AppendLogSnapshot.open({ path }, files)
    await expect(store.apply([put('a', 'v', 1)], at(1))).rejects.toMatchObject({ code: 'Io' })
    await store.close()
    expect((await stat(path)).size).toBe(0)
    failing = false
    const again = await AppendLogSnapshot.open({ path }, files)
    expect(again.cursor.isNone).toBe(true)
    await again.apply([put('a', 'v', 1)], at(1))
    expect((await again.sync()).revision).toBe(1n)
    await again.close()
  })

  test('is written and synced once more when nothing follows it: whoever made it may not have synced it', async () => {
    const path = join(await scratch(), 'log')
    await writeFile(path, header)
    const calls: Call[] = []
    const files = faultyFileSystem((call, of) => {
      if (of === path) calls.push(call)
      return undefined
    })
    const store = await AppendLogSnapshot.open({ path }, files)
    expect(calls.indexOf('datasync')).toBeGreaterThan(calls.indexOf('write'))
    expect(calls).toContain('write')
    expect(await readFile(path)).toEqual(Buffer.from(header))
    await store.close()
  })

  test.each([6, 31, 32])(
    'that a loss of power turned into %i zeros is that of an empty log',
    async (size) => {
      const path = join(await scratch(), 'log')
      await writeFile(path, new Uint8Array(size))
      const store = await AppendLogSnapshot.open({ path })
      expect([store.cursor.isNone, store.recovery]).toEqual([true, undefined])
      await store.apply([put('a', 'v', 1)], at(1))
      await store.close()
      expect(await verifyAppendLog(path)).toMatchObject({ verdict: 'intact', entries: 1 })
    },
  )

  test('was never one where anything but its zeros is there', async () => {
    const directory = await scratch()
    for (const bytes of [new Uint8Array(33), Uint8Array.of(0, 0, 0, 1)]) {
      const path = join(directory, `log${bytes.length}`)
      await writeFile(path, bytes)
      await expect(AppendLogSnapshot.open({ path })).rejects.toMatchObject({ code: 'InvalidFormat', at: 0 })
      expect(await readFile(path)).toEqual(Buffer.from(bytes))
    }
  })
})

test('whatever fails beside the writes of a compaction or of a staged fold is typed too', async () => {
  const path = join(await scratch(), 'log')
  let failing: Call | undefined
  let meanwhile: Promise<void> | undefined
  const files = faultyFileSystem((call, of) => {
    if (call === 'write' && of.endsWith('.compacting')) {
      meanwhile ??= store.apply([put('b', 'v', 2)], at(2))
      failing = 'read'
    }
    return call === failing ? { code: 'EIO' } : undefined
  })
  const store = await AppendLogSnapshot.open({ path, compact: false }, files)
  await store.apply([put('a', 'v', 1)], at(1))
  await expect(store.compact(), 'reading what was applied meanwhile').rejects.toMatchObject({ code: 'Io' })
  await meanwhile
  const staged = await store.stage()
  await staged.apply([put('c', 'v', 3)], at(3))
  failing = 'stat'
  await expect(staged.commit()).rejects.toMatchObject({ code: 'Io' })
  failing = undefined
  expect(store.cursor.revision).toBe(2n)
  await store.close()
})

test('the next process knows that a sync failed, until it has written the log anew', async () => {
  const directory = await scratch()
  const path = join(directory, 'log')
  const files = faultyFileSystem((call, of) =>
    call === 'datasync' && of === path && failing ? { code: 'EIO' } : undefined,
  )
  let failing = false
  const store = await AppendLogSnapshot.open({ path }, files)
  await store.apply([put('a', 'v', 1)], at(1))
  failing = true
  await expect(store.sync()).rejects.toMatchObject({ code: 'Io' })
  await store.close()
  vi.resetModules()
  const next = await import('../src/append-log-snapshot.ts')
  const killed = await next.AppendLogSnapshot.open({ path })
  expect(killed.durableCursor.isNone).toBe(true)
  await killed.apply([put('b', 'v', 2)], at(2))
  expect((await killed.sync()).revision).toBe(2n)
  await killed.close()
  expect(await readdir(directory)).toEqual(['log'])
  vi.resetModules()
  const last = await import('../src/append-log-snapshot.ts')
  const again = await last.AppendLogSnapshot.open({ path })
  expect(again.durableCursor.revision).toBe(2n)
  await again.close()
})

test('a log is durable only under a name that is: a compaction whose directory cannot be synced proves nothing', async () => {
  const path = join(await scratch(), 'log')
  let failing = false
  const files = faultyFileSystem((call) =>
    failing && call === 'syncDirectory' ? { code: 'EIO' } : undefined,
  )
  const store = await AppendLogSnapshot.open({ path, compact: false }, files)
  await store.apply([put('a', 'v', 1)], at(1))
  await store.sync()
  await store.apply([put('b', 'v', 2)], at(2))
  failing = true
  await expect(store.compact()).rejects.toMatchObject({ code: 'Io' })
  expect(store.durableCursor.revision).toBe(1n)
  await store.close()
  failing = false
  const again = await AppendLogSnapshot.open({ path }, files)
  expect(again.durableCursor.isNone, 'a directory that failed to sync says so only once').toBe(true)
  expect((await again.sync()).revision).toBe(2n)
  await again.close()
  const renamed = await AppendLogSnapshot.open({ path }, files)
  expect(renamed.durableCursor.revision).toBe(2n)
  await renamed.close()
  failing = true
  const unsynced = await AppendLogSnapshot.open({ path }, files)
  expect(unsynced.durableCursor.isNone, 'another process may have renamed it and died').toBe(true)
  failing = false
  expect((await unsynced.sync()).revision).toBe(2n)
  await unsynced.close()
})

test('under batch durability an apply whose sync fails did not happen', async () => {
  const path = join(await scratch(), 'log')
  let failing = false
  const files = faultyFileSystem((call, of) =>
    failing && call === 'datasync' && of === path ? { code: 'ENOSPC' } : undefined,
  )
  const store = await AppendLogSnapshot.open({ path, durability: 'batch' }, files)
  await store.apply([put('a', 'v', 1)], at(1))
  expect(store.durableCursor.revision).toBe(1n)
  failing = true
  await expect(store.apply([put('b', 'v', 2)], at(2))).rejects.toMatchObject({ code: 'Io' })
  expect([store.has('b'), store.cursor.revision]).toEqual([false, 1n])
  await store.close()
})

test('under batch durability an apply after a failed sync did not happen when the log cannot be written anew', async () => {
  const path = join(await scratch(), 'log')
  let failing: 'sync' | 'draft' | undefined
  const files = faultyFileSystem((call, of) => {
    if (failing === 'sync') return call === 'datasync' && of === path ? { code: 'EIO' } : undefined
    return failing === 'draft' && call === 'write' && of !== path ? { code: 'EIO' } : undefined
  })
  const first = await AppendLogSnapshot.open({ path, durability: 'batch' }, files)
  await first.apply([put('a', 'v', 1)], at(1))
  failing = 'sync'
  await expect(first.apply([put('b', 'v', 2)], at(2))).rejects.toMatchObject({ code: 'Io' })
  failing = undefined
  await first.close()

  const store = await AppendLogSnapshot.open({ path, durability: 'batch' }, files)
  const found = [...store.keys()]
  const { cursor } = store
  failing = 'draft'
  await expect(store.apply([put('c', 'v', 3)], at(3))).rejects.toMatchObject({ code: 'Io' })
  expect([[...store.keys()], store.cursor.toHex()]).toEqual([found, cursor.toHex()])
  failing = undefined
  await store.apply([put('d', 'v', 4)], at(4))
  expect([store.has('c'), store.durableCursor.revision]).toEqual([false, 4n])
  await store.close()
})

test('a log that somebody else changed, cut, replaced or removed is written no more', async () => {
  const { appendFile, rm, truncate, writeFile, rename } = await import('node:fs/promises')
  const changes: [string, (path: string) => Promise<void>][] = [
    ['appended to', async (path) => appendFile(path, 'x')],
    ['cut', async (path) => truncate(path, 40)],
    ['removed', async (path) => rm(path)],
    [
      'replaced',
      async (path) => {
        await writeFile(`${path}.new`, await readFile(path))
        await rename(`${path}.new`, path)
      },
    ],
  ]
  for (const [what, change] of changes) {
    const path = join(await scratch(), 'log')
    const store = await AppendLogSnapshot.open({ path })
    await store.apply([put('a', 'v', 1)], at(1))
    await change(path)
    await expect(store.apply([put('b', 'v', 2)], at(2)), what).rejects.toMatchObject({ code: 'Io' })
    expect(store.has('a')).toBe(true)
    await store.close()
  }
})

test('a real file-size limit in the middle of a write, then room: everything acknowledged is there', async () => {
  const path = join(await scratch(), 'log')
  const child = fileURLToPath(new URL('fill-child.mjs', import.meta.url))
  const { stdout } = await promisify(execFile)('bash', [
    '-c',
    'ulimit -f 64; exec "$0" "$@"',
    process.execPath,
    child,
    path,
  ])
  const { acknowledged, code } = JSON.parse(stdout) as { acknowledged: number; code: string }
  expect(code).toBe('Io')
  expect(acknowledged).toBeGreaterThan(10)
  const reader = await AppendLogReader.open({ path })
  expect(reader.cursor.revision).toBe(BigInt(acknowledged))
  const store = await AppendLogSnapshot.open({ path })
  expect(store.stats.entries).toBe(acknowledged)
  await store.apply([put('more', VALUE, acknowledged + 1)], at(acknowledged + 1))
  await store.close()
  expect(await verifyAppendLog(path)).toMatchObject({ verdict: 'intact', entries: acknowledged + 1 })
})

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
