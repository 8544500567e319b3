import { isUtf8 } from 'node:buffer'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import {
  Slices,
  SnapshotError,
  VersionToken,
  WatchCursor,
  type FoldFacts,
  type FoldReader,
  type KvEntry,
  type KvUpdate,
  type PayloadFormat,
  type TakeUpdates,
} from '@slip/kv-core'
import { nodeFileSystem, UpdateBatches, type LogHandle } from '@slip/kv-core/store-parts'
import { StretchWriter } from './stretch-writer.ts'

/** The payload of an interchange artifact. */
export const INTERCHANGE_FILE = 'fold.snap'

const HEADER = Uint8Array.of(0x50, 0x47, 0x53, 0x53, 2, 0)
const PUT = 1
const DELETE = 2
const CURSOR = 3
const MAX_KEY_BYTES = 65_535
const MAX_VALUE_BYTES = 64 * 1024 * 1024
const MAX_VERSION_BYTES = 10
const MAX_CURSOR_BYTES = 20
const STRETCH_BYTES = 256 * 1024

/**
 * Writes a fold to an open, empty file as the Rust system's compacted log: its header, a put for each
 * key in key-byte order, the cursor. Same state, same bytes. SnapshotError `LimitExceeded` for a key
 * above 65,535 bytes or a value above 64 MiB.
 */
export async function writeInterchangeLog(
  file: LogHandle,
  fold: Pick<FoldReader, 'entries' | 'cursor'>,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<{ readonly entries: number; readonly bytes: number }> {
  const { cursor } = fold
  const out = new StretchWriter(file)
  const slices = new Slices('export.interchange')
  let entries = 0
  await out.add(HEADER)
  for (const entry of fold.entries()) {
    await out.add(putRecord(entry))
    entries++
    if ((entries & 63) === 0 && slices.due()) {
      await slices.pause()
      options.signal?.throwIfAborted()
    }
  }
  const token = cursor.toBytes()
  if (token.length > 0)
    await out.add(sealed(Buffer.concat([Uint8Array.of(0, 0, 0, 0, CURSOR, token.length), token])))
  await out.flush()
  slices.end()
  return { entries, bytes: out.end }
}

function putRecord({ key, value, version }: KvEntry): Uint8Array {
  const keyBytes = Buffer.byteLength(key)
  if (keyBytes > MAX_KEY_BYTES)
    throw new SnapshotError(
      'LimitExceeded',
      `a key of ${keyBytes} bytes: generation 2 holds ${MAX_KEY_BYTES}`,
    )
  if (value.length > MAX_VALUE_BYTES)
    throw new SnapshotError(
      'LimitExceeded',
      `a value of ${value.length} bytes at key ${key}: generation 2 holds ${MAX_VALUE_BYTES}`,
    )
  const token = version.toBytes()
  const record = Buffer.allocUnsafe(12 + keyBytes + value.length + token.length)
  record[4] = PUT
  record.writeUInt16LE(keyBytes, 5)
  record.write(key, 7)
  record.writeUInt32LE(value.length, 7 + keyBytes)
  record.set(value, 11 + keyBytes)
  record[11 + keyBytes + value.length] = token.length
  record.set(token, 12 + keyBytes + value.length)
  return sealed(record)
}

function sealed(record: Buffer): Buffer {
  record.writeUInt32LE(crc32(record.subarray(4)))
  return record
}

/** Reads the payload of an interchange artifact where the store that could do it is not installed. */
export const interchangePayload: PayloadFormat = {
  backend: 'append-log',
  layouts: { 2: [INTERCHANGE_FILE] },
  check: async (directory, _version, { signal } = {}) => readLog(directory, undefined, signal),
  updates: async (directory, _version, take, { signal } = {}) => {
    await readLog(directory, take, signal)
  },
}

async function readLog(
  directory: string,
  take: TakeUpdates | undefined,
  signal: AbortSignal | undefined,
): Promise<FoldFacts> {
  const path = join(directory, INTERCHANGE_FILE)
  const file = await nodeFileSystem.open(path, 'read')
  try {
    return await readRecords(new Window(file, path), take, signal)
  } finally {
    await file.close()
  }
}

async function readRecords(
  window: Window,
  take: TakeUpdates | undefined,
  signal: AbortSignal | undefined,
): Promise<FoldFacts> {
  const header = await window.need(HEADER.length)
  if (Buffer.compare(header.subarray(0, HEADER.length), HEADER) !== 0)
    throw window.wrong('InvalidFormat', 'its header is not that of generation 2')
  window.skip(HEADER.length)
  const slices = new Slices('export.read')
  const batches = take === undefined ? undefined : new UpdateBatches('export.updates', take, { signal })
  let cursor = WatchCursor.none
  let entries = 0
  while (!(await window.atEnd())) {
    const record = await nextRecord(window)
    if ('cursor' in record) cursor = record.cursor
    else {
      if (record.operation === 'put') entries++
      await batches?.add(record)
    }
    if (slices.due()) {
      await slices.pause()
      signal?.throwIfAborted()
    }
  }
  await batches?.end()
  return { cursor, lineage: undefined, entries }
}

async function nextRecord(window: Window): Promise<KvUpdate | { readonly cursor: WatchCursor }> {
  const type = (await window.need(5))[4]!
  if (type !== PUT && type !== DELETE && type !== CURSOR)
    throw window.wrong('InvalidFormat', `a record of unknown type ${type}`)
  if (type === CURSOR) {
    const length = (await window.need(6))[5]!
    if (length > MAX_CURSOR_BYTES) throw window.wrong('InvalidFormat', `a cursor of ${length} bytes`)
    const bytes = await window.record(6 + length)
    return { cursor: WatchCursor.fromBytes(bytes.subarray(6)) }
  }
  const keyTo = 7 + (await window.need(7)).readUInt16LE(5)
  let valueTo = keyTo
  if (type === PUT) {
    const length = (await window.need(keyTo + 4)).readUInt32LE(keyTo)
    if (length > MAX_VALUE_BYTES) throw window.wrong('Corrupted', `a value of ${length} bytes`)
    valueTo = keyTo + 4 + length
  }
  const versionBytes = (await window.need(valueTo + 1))[valueTo]!
  if (versionBytes > MAX_VERSION_BYTES)
    throw window.wrong('InvalidFormat', `a version of ${versionBytes} bytes`)
  const bytes = await window.record(valueTo + 1 + versionBytes)
  const keyBytes = bytes.subarray(7, keyTo)
  if (!isUtf8(keyBytes)) throw window.wrong('InvalidFormat', 'a key that is not UTF-8')
  const key = keyBytes.toString()
  const version = VersionToken.fromBytes(bytes.subarray(valueTo + 1))
  return type === PUT
    ? { operation: 'put', key, value: new Uint8Array(bytes.subarray(keyTo + 4, valueTo)), version }
    : { operation: 'delete', key, version }
}

/** What comes next in a file; bytes are valid until the next call. */
class Window {
  readonly #file: LogHandle
  readonly #path: string
  #buffer: Buffer = Buffer.allocUnsafe(4 * STRETCH_BYTES)
  #from = 0
  #to = 0
  #position = 0

  constructor(file: LogHandle, path: string) {
    this.#file = file
    this.#path = path
  }

  async atEnd(): Promise<boolean> {
    return !(await this.#fill(1))
  }

  /** At least the next `length` bytes. SnapshotError `Corrupted` when the file ends before. */
  async need(length: number): Promise<Buffer> {
    if (!(await this.#fill(length))) throw this.wrong('Corrupted', 'it is cut short')
    return this.#buffer.subarray(this.#from, this.#to)
  }

  /** The next record, whose checksum has to be right, and goes behind it. */
  async record(length: number): Promise<Buffer> {
    const bytes = (await this.need(length)).subarray(0, length)
    if (crc32(bytes.subarray(4)) !== bytes.readUInt32LE())
      throw this.wrong('Corrupted', 'a record fails its checksum')
    this.skip(length)
    return bytes
  }

  skip(length: number): void {
    this.#from += length
  }

  wrong(code: 'InvalidFormat' | 'Corrupted', what: string): SnapshotError {
    const at = this.#position - (this.#to - this.#from)
    return new SnapshotError(code, `${this.#path}: ${what}, at byte ${at}`, { path: this.#path, at })
  }

  async #fill(length: number): Promise<boolean> {
    if (this.#to - this.#from >= length) return true
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(length + STRETCH_BYTES)
      this.#buffer.copy(larger, 0, this.#from, this.#to)
      this.#buffer = larger
    } else this.#buffer.copyWithin(0, this.#from, this.#to)
    this.#to -= this.#from
    this.#from = 0
    while (this.#to < length) {
      const { bytesRead } = await this.#file.read(
        this.#buffer,
        this.#to,
        this.#buffer.length - this.#to,
        this.#position,
      )
      if (bytesRead === 0) return false
      this.#to += bytesRead
      this.#position += bytesRead
    }
    return true
  }
}
