import { createHash } from 'node:crypto'
import { copyFile, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SnapshotError, VersionToken, WatchCursor } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { AppendLogReader } from '../src/append-log-reader.ts'
import { AppendLogSnapshot } from '../src/append-log-snapshot.ts'
import { GENERATION_2_HEADER, identify } from '../src/log-header.ts'
import { MemoryFold } from '../src/memory/memory-fold.ts'
import {
  recordIsPut,
  recordKeyAt,
  recordKeyBytes,
  recordLengthOf,
  recordValueBytes,
  recordVersionBytes,
} from '../src/record.ts'
import { scanGeneration2 } from '../src/recovery-2.ts'
import { scanBytes } from '../src/run-scan.ts'
import { verifyAppendLog } from '../src/verify-append-log.ts'
import { writeAppendLog } from '../src/write-append-log.ts'
import { at, del, plain, put, scratch, type PlainEntry } from './scratch.ts'

interface Answer {
  readonly how: string
  readonly bytes: number
  readonly sha256: string
  readonly load:
    | { readonly verdict: 'ok'; readonly cursor: string; readonly entries: PlainEntry[] }
    | { readonly verdict: 'error'; readonly kind: string }
  readonly append_at?: number
  readonly after_load: 'unchanged' | { readonly bytes: number; readonly sha256: string }
}

const directory = fileURLToPath(new URL('interop/', import.meta.url))
const expected = JSON.parse(await readFile(join(directory, 'expected.json'), 'utf8')) as Record<
  string,
  Answer
>

/** Shorter than a header: empty for us, an error for the Rust loader. */
const OURS_EMPTY = new Set(['short-0.snap', 'short-3.snap', 'short-5.snap'])
const answers = Object.entries(expected)

describe('every file of the Rust system is read with its answer', () => {
  test('there are all of them', () => expect(answers.length).toBeGreaterThanOrEqual(80))

  test.each(answers)('%s', async (name, answer) => {
    const path = join(await scratch(), name)
    await copyFile(join(directory, name), path)
    const before = await readFile(path)
    expect(digest(before)).toBe(answer.sha256)

    if (OURS_EMPTY.has(name)) {
      const reader = await AppendLogReader.open({ path })
      expect([plain(reader), reader.cursor.toHex()]).toEqual([[], ''])
      return
    }
    if (answer.load.verdict === 'error') {
      const { kind } = answer.load
      for (const log of [AppendLogReader, AppendLogSnapshot]) {
        const error = await log.open({ path }).then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        expect(error).toBeInstanceOf(SnapshotError)
        expect(error).toMatchObject({ code: kind, path, at: expect.any(Number) as number })
      }
      expect((await readFile(path)).equals(before)).toBe(true)
      expect(['corrupt', 'foreign']).toContain((await verifyAppendLog(path)).verdict)
      return
    }
    const { cursor, entries } = answer.load
    const reader = await AppendLogReader.open({ path })
    expect([plain(reader), reader.cursor.toHex()]).toEqual([entries, cursor])
    const torn = answer.append_at! < answer.bytes
    expect(await verifyAppendLog(path)).toMatchObject({
      verdict: torn ? 'torn' : 'intact',
      at: answer.append_at,
      bytes: answer.bytes,
      generation: 2,
      entries: entries.length,
    })
    const store = await AppendLogSnapshot.open({ path, format: 2, compact: false })
    expect(store.recovery).toEqual(
      torn ? { verdict: 'torn', at: answer.append_at, bytes: answer.bytes - answer.append_at! } : undefined,
    )
    expect((await stat(path)).size).toBe(answer.append_at)
    expect([plain(store), store.cursor.toHex()]).toEqual([entries, cursor])
    await store.compact()
    await store.close()
    const compacted = await readFile(path)
    // Where the crate left a file as it was, it was canonical, or the crate only rewrites on a threshold.
    if (answer.after_load !== 'unchanged') expect(digest(compacted)).toBe(answer.after_load.sha256)
    const converted = `${path}.converted`
    await writeAppendLog(converted, reader, { format: 2 })
    expect((await readFile(converted)).equals(compacted)).toBe(true)
    const canonical = name.replace('.snap', '-compact.snap')
    if (canonical in expected && name !== 'cursor-memo-none.snap')
      expect(compacted.equals(await readFile(join(directory, canonical)))).toBe(true)
  })
})

test('a memo on a none cursor survives compaction, where the Rust system loses it', async () => {
  const path = join(await scratch(), 'memo')
  await copyFile(join(directory, 'cursor-memo-none.snap'), path)
  const store = await AppendLogSnapshot.open({ path, format: 2 })
  await store.compact()
  await store.close()
  expect((await readFile(path)).equals(await readFile(join(directory, 'cursor-memo-none.snap')))).toBe(true)
})

describe('every cut and every flipped bit gives the answer of the Rust system', async () => {
  type Outcome = string | number
  const damage = JSON.parse(await readFile(join(directory, 'damage.json'), 'utf8')) as Record<
    string,
    {
      readonly truncate: Outcome[]
      readonly flip: Outcome[][]
      readonly states: { readonly cursor: string; readonly entries: PlainEntry[] }[]
    }
  >
  test.each(Object.entries(damage))('%s', async (name, { truncate, flip, states }) => {
    const bytes = await readFile(join(directory, name))
    const compare = (damaged: Uint8Array, outcome: Outcome, what: string): void => {
      const wanted = typeof outcome === 'number' ? states[outcome] : outcome
      expect(loadBytes(damaged), what).toEqual(wanted)
    }
    expect(truncate.length).toBeGreaterThanOrEqual(bytes.length)
    for (const [length, outcome] of truncate.entries())
      compare(bytes.subarray(0, length), length < 6 ? 0 : outcome, `the first ${length} bytes`)
    for (const [offset, bits] of flip.entries())
      for (const [bit, outcome] of bits.entries()) {
        const flipped = Uint8Array.from(bytes)
        flipped[offset]! ^= 1 << bit
        compare(flipped, outcome, `bit ${bit} of byte ${offset}`)
      }
  })
})

test('the vector of the format, written by the same operations, is the same bytes', async () => {
  const path = join(await scratch(), 'vector')
  const store = await AppendLogSnapshot.open({ path, format: 2, compact: false })
  await store.apply([put('node.b', 'v2', 2), put('node.a', 'v1', 1)], at(2))
  await store.apply([del('node.b', 3)], at(3))
  await store.close()
  expect((await readFile(path)).toString('hex')).toBe(
    (await readFile(join(directory, 'vector.snap'))).toString('hex'),
  )
})

test.each(answers.filter(([, { load, append_at, bytes }]) => load.verdict === 'ok' && append_at === bytes))(
  '%s, its own operations applied again, is written byte for byte',
  async (name) => {
    const bytes = await readFile(join(directory, name))
    const path = join(await scratch(), name)
    const store = await AppendLogSnapshot.open({ path, format: 2, compact: false })
    const fold = new Collected()
    scanBytes(scanGeneration2(GENERATION_2_HEADER.length, bytes.length), bytes, fold)
    for (const { updates, cursor } of fold.commits) await store.apply(updates, cursor)
    await store.close()
    // A cursor with flags 0 or junk in its padding is read but never written that way.
    if (!['cursor-memo-flags0.snap', 'cursor-memo-padding.snap'].includes(name)) {
      const written = await readFile(path)
      expect(written.equals(bytes.subarray(0, written.length))).toBe(true)
      expect(bytes.length - written.length).toBe(fold.trailingBytes(bytes.length))
    }
  },
)

class Collected {
  readonly commits: { updates: Parameters<AppendLogSnapshot['apply']>[0]; cursor: WatchCursor }[] = []
  #pending: Parameters<AppendLogSnapshot['apply']>[0][number][] = []
  #end = GENERATION_2_HEADER.length

  records(bytes: Uint8Array, from: number, to: number): void {
    for (let start = from; start < to;) {
      const length = recordLengthOf(bytes, start)
      const keyAt = recordKeyAt(bytes, start)
      const keyEnd = keyAt + recordKeyBytes(bytes, start)
      const key = Buffer.from(bytes.subarray(keyAt, keyEnd)).toString()
      const version = VersionToken.fromBytes(
        bytes.subarray(keyEnd, keyEnd + recordVersionBytes(bytes, start)),
      )
      const end = start + length
      this.#pending.push(
        recordIsPut(bytes, start)
          ? { operation: 'put', key, version, value: bytes.slice(end - recordValueBytes(bytes, start), end) }
          : { operation: 'delete', key, version },
      )
      start = end
    }
  }

  commit(cursor: Uint8Array, _lineage: unknown, end: number): void {
    this.commits.push({ updates: this.#pending, cursor: WatchCursor.fromBytes(cursor) })
    this.#pending = []
    this.#end = end
  }

  /** Records behind the last cursor belong to no apply. */
  trailingBytes(size: number): number {
    return size - this.#end
  }
}

function loadBytes(bytes: Uint8Array): unknown {
  try {
    if (identify(bytes.subarray(0, 32), bytes.length).kind === 'empty') return { cursor: '', entries: [] }
    const fold = new MemoryFold({ keepDeleted: false })
    let cursor = WatchCursor.none
    const verdict = scanBytes(scanGeneration2(GENERATION_2_HEADER.length, bytes.length), bytes, {
      records: (source, from, to) => fold.putRecords(source, from, to),
      commit: (raw) => {
        cursor = WatchCursor.fromBytes(raw)
      },
    })
    if (verdict.verdict === 'corrupt') return verdict.code
    return { cursor: cursor.toHex(), entries: plain(fold) }
  } catch (error) {
    if (SnapshotError.is(error)) return error.code
    throw error
  }
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
