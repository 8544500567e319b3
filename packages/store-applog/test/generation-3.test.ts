import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MAX_LINEAGE_BYTES, SnapshotError, WatchCursor, type KvUpdate } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'
import { AppendLogReader } from '../src/append-log-reader.ts'
import { AppendLogSnapshot } from '../src/append-log-snapshot.ts'
import { CommitEncoder } from '../src/commit-encoder.ts'
import { crc32c } from '../src/crc32c.ts'
import { FRAME_HEADER_BYTES, MAX_PAYLOAD_BYTES, sealFrame } from '../src/frame.ts'
import { encodeHeader, HEADER_3_BYTES, identify } from '../src/log-header.ts'
import { MemoryFold } from '../src/memory/memory-fold.ts'
import { recordSize, writeRecord } from '../src/record.ts'
import { scanGeneration3 } from '../src/recovery-3.ts'
import { scanBytes } from '../src/run-scan.ts'
import { verifyAppendLog } from '../src/verify-append-log.ts'
import { at, del, plain, put, scratch, type PlainEntry } from './scratch.ts'

const SALT = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8])
const GOLDEN = fileURLToPath(new URL('golden/', import.meta.url))

interface Commit {
  readonly batch: readonly KvUpdate[]
  readonly cursor: WatchCursor
  readonly lineage?: Uint8Array
}

const COMMITS: readonly Commit[] = [
  { batch: [put('node.b', 'v2', 2), put('node.a', 'v1', 1)], cursor: at(2), lineage: Uint8Array.of(7, 7) },
  { batch: [del('node.b', 3)], cursor: at(3) },
  { batch: [], cursor: at(4) },
  {
    batch: [{ ...put('ttl', 'x', 5), expiresAtMs: 1_700_000_000_123 } as KvUpdate, put('é\u{10000}', '', 6)],
    cursor: WatchCursor.fromToken(at(6).token, { evictionSeen: true, serverTimeMs: 5n }),
    lineage: Uint8Array.of(8),
  },
]

interface State {
  readonly cursor: string
  readonly lineage: string
  readonly entries: PlainEntry[]
  readonly deleted: string[]
}

/** A log of these commits, with the state and the length of the file after each. */
async function build(
  commits: readonly Commit[],
): Promise<{ bytes: Uint8Array; states: State[]; ends: number[] }> {
  const encoder = new CommitEncoder(3, SALT)
  const pieces: Uint8Array[] = [encodeHeader({ salt: SALT, baseEnd: HEADER_3_BYTES })]
  const fold = new MemoryFold({ keepDeleted: true })
  let end = HEADER_3_BYTES
  let lineage = ''
  const states: State[] = [{ cursor: '', lineage, entries: [], deleted: [] }]
  const ends = [end]
  for (const commit of commits) {
    const encoded = await encoder.batch(commit.batch, commit.cursor, commit.lineage, end)
    fold.putRecords(encoded.native, encoded.nativeFrom, encoded.nativeTo)
    pieces.push(encoded.bytes.slice())
    end += encoded.bytes.length
    if (commit.lineage !== undefined) lineage = Buffer.from(commit.lineage).toString('hex')
    states.push({ cursor: commit.cursor.toHex(), lineage, entries: plain(fold), deleted: deletedOf(fold) })
    ends.push(end)
  }
  return { bytes: Buffer.concat(pieces), states, ends }
}

function deletedOf(fold: { deletedKeys(): Iterable<{ key: string }> }): string[] {
  return [...fold.deletedKeys()].map(({ key }) => key)
}

type Outcome = { readonly verdict: string; readonly at: number; readonly state?: State }

function recover(bytes: Uint8Array): Outcome {
  try {
    const kind = identify(bytes.subarray(0, HEADER_3_BYTES), bytes.length)
    if (kind.kind === 'empty')
      return { verdict: 'empty', at: 0, state: { cursor: '', lineage: '', entries: [], deleted: [] } }
    if (kind.kind !== 'generation3') return { verdict: 'foreign', at: 0 }
    const fold = new MemoryFold({ keepDeleted: true })
    let cursor = WatchCursor.none
    let lineage = ''
    const verdict = scanBytes(scanGeneration3(kind.header, HEADER_3_BYTES, bytes.length), bytes, {
      records: (source, from, to) => fold.putRecords(source, from, to),
      commit: (raw, given) => {
        cursor = WatchCursor.fromBytes(raw)
        if (given !== undefined) lineage = Buffer.from(given).toString('hex')
      },
    })
    if (verdict.verdict === 'corrupt') return verdict
    const state = { cursor: cursor.toHex(), lineage, entries: plain(fold), deleted: deletedOf(fold) }
    return { verdict: verdict.verdict, at: verdict.at, state }
  } catch (error) {
    if (SnapshotError.is(error)) return { verdict: error.code, at: error.at ?? -1 }
    throw error
  }
}

describe('a small log, damaged in every way', () => {
  test('cut at every offset it is the exact prefix, and the torn tail has its place', async () => {
    const { bytes, states, ends } = await build(COMMITS)
    for (let length = 0; length <= bytes.length; length++) {
      const whole = ends.filter((end) => end <= length).length - 1
      const expected =
        length < HEADER_3_BYTES
          ? { verdict: 'empty', at: 0, state: states[0] }
          : { verdict: ends.includes(length) ? 'intact' : 'torn', at: ends[whole], state: states[whole] }
      expect(recover(bytes.subarray(0, length)), `the first ${length} bytes`).toEqual(expected)
    }
  })

  test('with any bit flipped it is refused, or the last commit is torn; no earlier one is lost', async () => {
    const { bytes, states, ends } = await build(COMMITS)
    const last = ends.length - 2
    for (let offset = 0; offset < bytes.length; offset++)
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Uint8Array.from(bytes)
        flipped[offset]! ^= 1 << bit
        const outcome = recover(flipped)
        const what = `bit ${bit} of byte ${offset}`
        if (offset < 8) expect(outcome, what).toEqual({ verdict: 'InvalidFormat', at: 0 })
        else if (offset < HEADER_3_BYTES) expect(outcome, what).toEqual({ verdict: 'Corrupted', at: 0 })
        else if (offset >= ends[last]!)
          expect(outcome, what).toEqual({ verdict: 'torn', at: ends[last], state: states[last] })
        else {
          const frame = ends.findLast((end) => end <= offset)
          expect(outcome, what).toMatchObject({ verdict: 'corrupt', at: frame, code: 'Corrupted' })
        }
      }
  })

  test('opened for writing it is cut where it is torn, reports that once, and goes on', async () => {
    const { bytes, states, ends } = await build(COMMITS)
    const path = join(await scratch(), 'log')
    for (let length = 0; length <= bytes.length; length += length < HEADER_3_BYTES ? 9 : 3) {
      await writeFile(path, bytes.subarray(0, length))
      const store = await AppendLogSnapshot.open({ path })
      const whole = Math.max(0, ends.filter((end) => end <= length).length - 1)
      const torn = length > HEADER_3_BYTES && !ends.includes(length)
      expect(store.recovery, `${length} bytes`).toEqual(
        torn ? { verdict: 'torn', at: ends[whole], bytes: length - ends[whole]! } : undefined,
      )
      expect(store.cursor.toHex()).toBe(states[whole]!.cursor)
      await store.apply([put('more', 'v', 99)], at(99))
      await store.close()
      expect(await verifyAppendLog(path)).toMatchObject({
        verdict: 'intact',
        entries: states[whole]!.entries.length + 1,
      })
    }
  })

  test('a damaged log is not opened and not touched', async () => {
    const { bytes, ends } = await build(COMMITS)
    const path = join(await scratch(), 'log')
    const flipped = Uint8Array.from(bytes)
    flipped[ends[1]! + 9]! ^= 4
    await writeFile(path, flipped)
    for (const log of [AppendLogSnapshot, AppendLogReader])
      await expect(log.open({ path })).rejects.toMatchObject({ code: 'Corrupted', path, at: ends[1] })
    expect(Buffer.compare(await readFile(path), flipped)).toBe(0)
    expect(await verifyAppendLog(path)).toMatchObject({ verdict: 'corrupt', at: ends[1], generation: 3 })
  })
})

test('inside the base that compaction wrote, a cut is damage and never a torn tail', async () => {
  const path = join(await scratch(), 'log')
  const store = await AppendLogSnapshot.open({ path })
  for (const { batch, cursor } of COMMITS) await store.apply(batch, cursor)
  await store.compact()
  const base = (await readFile(path)).length
  await store.apply([put('z', 'z', 9)], at(9))
  await store.close()
  const bytes = await readFile(path)
  for (let length = HEADER_3_BYTES; length < bytes.length; length++)
    expect(recover(bytes.subarray(0, length)).verdict, `${length} bytes`).toBe(
      length < base ? 'corrupt' : length === base ? 'intact' : 'torn',
    )
})

test('a frame inside a value, or of another file, is no later valid frame', async () => {
  const first = await build([COMMITS[0]!])
  const frame = first.bytes.slice(first.ends[0], first.ends[1])
  const whole = await build([COMMITS[0]!, { batch: [put('nested', frame, 9)], cursor: at(9) }])
  const cut = Uint8Array.from(whole.bytes)
  cut[whole.ends[1]! + 8]! ^= 1
  expect(recover(cut)).toMatchObject({ verdict: 'torn', at: whole.ends[1] })
})

test.each([
  ['an unknown flag', (payload: Uint8Array) => (payload[0] = 8)],
  ['a cursor past the end', (payload: Uint8Array) => (payload[1] = 255)],
  ['a cursor of 11 bytes', (payload: Uint8Array) => (payload[1] = 11)],
  ['a commit that is never finished', (payload: Uint8Array) => (payload[0] = 2)],
  ['a record of unknown type', (payload: Uint8Array) => (payload[10] = 9)],
  ['a record longer than its frame', (payload: Uint8Array) => (payload[16] = 255)],
])('%s under a right checksum is InvalidFormat with its place', async (_what, bend) => {
  const { bytes, ends } = await build([COMMITS[1]!])
  const bent = Uint8Array.from(bytes)
  bend(bent.subarray(ends[0]! + FRAME_HEADER_BYTES))
  const payloadCrc = crc32c(0, bent, ends[0]! + FRAME_HEADER_BYTES, bent.length)
  sealFrame(bent, ends[0]!, bent.length, SALT, ends[0]!, payloadCrc)
  const path = join(await scratch(), 'log')
  await writeFile(path, bent)
  await expect(AppendLogSnapshot.open({ path })).rejects.toMatchObject({
    code: 'InvalidFormat',
    at: ends[0],
    path,
  })
  expect(Buffer.compare(await readFile(path), bent)).toBe(0)
})

test('a newer generation is refused and untouched, a damaged header is told from it', async () => {
  const path = join(await scratch(), 'log')
  const header = encodeHeader({ salt: SALT, baseEnd: HEADER_3_BYTES })
  header[8] = 4
  new DataView(header.buffer).setUint32(28, crc32c(0, header, 0, 28), true)
  await writeFile(path, header)
  await expect(AppendLogSnapshot.open({ path })).rejects.toMatchObject({ code: 'InvalidFormat', at: 0 })
  expect(await verifyAppendLog(path)).toMatchObject({ verdict: 'foreign', at: 0 })
  header[28]! ^= 1
  await writeFile(path, header)
  await expect(AppendLogSnapshot.open({ path })).rejects.toMatchObject({ code: 'Corrupted', at: 0 })
  expect(await readFile(path)).toEqual(Buffer.from(header))
})

test('a frame that says it is larger than the limit is none', async () => {
  const { bytes, ends } = await build(COMMITS)
  const bent = Uint8Array.from(bytes)
  new DataView(bent.buffer).setUint32(ends[3]! + 8, MAX_PAYLOAD_BYTES + 1, true)
  expect(recover(bent)).toMatchObject({ verdict: 'torn', at: ends[3] })
})

test('limits: one byte over is LimitExceeded, changes nothing, and the store goes on', async () => {
  const path = join(await scratch(), 'log')
  const store = await AppendLogSnapshot.open({ path })
  await store.apply([put('k', 'v', 1)], at(1), { lineage: new Uint8Array(MAX_LINEAGE_BYTES).fill(3) })
  const size = (await readFile(path)).length
  const refusals: [readonly KvUpdate[], Uint8Array | undefined][] = [
    [[], new Uint8Array(MAX_LINEAGE_BYTES + 1)],
    [[put('ok', 'v', 2), put('x'.repeat(65_536), 'v', 2)], undefined],
    [[del('é'.repeat(32_768), 2)], undefined],
  ]
  for (const [batch, lineage] of refusals)
    await expect(store.apply(batch, at(2), lineage === undefined ? {} : { lineage })).rejects.toMatchObject({
      code: 'LimitExceeded',
    })
  expect((await readFile(path)).length).toBe(size)
  await store.apply([put('k2', 'v', 2)], at(2))
  await store.close()
  const reader = await AppendLogReader.open({ path })
  expect([[...reader.keys()], reader.lineage?.length]).toEqual([['k', 'k2'], MAX_LINEAGE_BYTES])
})

test('generation 2 refuses a value above 64 MiB before anything is written', async () => {
  const path = join(await scratch(), 'log')
  const store = await AppendLogSnapshot.open({ path, format: 2 })
  await expect(
    store.apply([put('a', 'v', 1), put('b', new Uint8Array(64 * 1024 * 1024 + 1), 1)], at(1)),
  ).rejects.toMatchObject({ code: 'LimitExceeded' })
  await store.apply([put('b', 'v', 1)], at(1))
  await store.close()
  expect([...(await AppendLogReader.open({ path })).keys()]).toEqual(['b'])
})

describe('golden files', () => {
  test('commits.slip is what these commits are, byte for byte', async () => {
    const { bytes, states } = await build(COMMITS)
    const path = join(GOLDEN, 'commits.slip')
    if (process.env['SLIP_WRITE_GOLDEN'] === '1') await writeFile(path, bytes)
    const golden = await readFile(path)
    expect(golden.toString('hex')).toBe(Buffer.from(bytes).toString('hex'))
    expect(recover(golden)).toEqual({ verdict: 'intact', at: bytes.length, state: states.at(-1) })
  })

  test('compacted.slip has a base that compaction wrote, then a commit', async () => {
    const path = join(GOLDEN, 'compacted.slip')
    if (process.env['SLIP_WRITE_GOLDEN'] === '1') {
      const made = join(await scratch(), 'log')
      const store = await AppendLogSnapshot.open({ path: made })
      for (const { batch, cursor, lineage } of COMMITS)
        await store.apply(batch, cursor, lineage === undefined ? {} : { lineage })
      await store.compact()
      await store.apply([put('after', 'v', 7)], at(7))
      await store.close()
      await writeFile(path, await readFile(made))
    }
    const { states } = await build(COMMITS)
    const golden = await readFile(path)
    const outcome = recover(golden)
    expect(outcome).toMatchObject({ verdict: 'intact', at: golden.length })
    expect(outcome.state).toEqual({
      ...states.at(-1),
      cursor: at(7).toHex(),
      entries: [{ key: 'after', value: 'dg==', version: at(7).toHex() }, ...states.at(-1)!.entries],
    })
  })

  test('continued.slip has a base of two frames, which count only together', async () => {
    const encoder = new CommitEncoder(3, SALT)
    const record = (update: KvUpdate): Uint8Array => {
      const bytes = new Uint8Array(recordSize(update))
      writeRecord(bytes, 0, update)
      return bytes
    }
    const first = record(put('a', '1', 1))
    const second = record(put('b', '2', 2))
    const open = { cursor: new Uint8Array(0), lineage: undefined, continued: true }
    const ended = { cursor: at(2).toBytes(), lineage: Uint8Array.of(4), continued: false }
    const frames = [encoder.records(first, 0, first.length, open, HEADER_3_BYTES).bytes.slice()]
    frames.push(
      encoder.records(second, 0, second.length, ended, HEADER_3_BYTES + frames[0]!.length).bytes.slice(),
    )
    const baseEnd = HEADER_3_BYTES + frames[0]!.length + frames[1]!.length
    const bytes = Buffer.concat([encodeHeader({ salt: SALT, baseEnd }), ...frames])
    const path = join(GOLDEN, 'continued.slip')
    if (process.env['SLIP_WRITE_GOLDEN'] === '1') await writeFile(path, bytes)
    expect((await readFile(path)).toString('hex')).toBe(bytes.toString('hex'))
    const outcome = recover(bytes)
    expect(outcome).toMatchObject({ verdict: 'intact', state: { cursor: at(2).toHex(), lineage: '04' } })
    expect(outcome.state?.entries.map(({ key }) => key)).toEqual(['a', 'b'])
    for (let length = HEADER_3_BYTES; length < bytes.length; length++)
      expect(recover(bytes.subarray(0, length)).verdict).toBe('corrupt')
  })
})
