import { createHash } from 'node:crypto'
import {
  SnapshotError,
  VersionToken,
  WatchCursor,
  bytesToHex,
  hexToBytes,
  type KvUpdate,
  type Recovery,
} from '@slip/kv-core'
import { EMPTY, advance, type FoldState } from './reference-fold.ts'

const HEADER = 'slip reference store 1\n'

/** One apply as one line: a checksum, a space, JSON. */
export function encodeApply(
  batch: readonly KvUpdate[],
  cursor: WatchCursor,
  lineage: Uint8Array | undefined,
): string {
  const updates = batch.map((update) => [
    update.operation,
    update.key,
    update.version.toHex(),
    update.operation === 'put' ? bytesToHex(update.value) : '',
  ])
  const body = JSON.stringify({
    updates,
    cursor: cursor.toHex(),
    ...(lineage === undefined ? {} : { lineage: bytesToHex(lineage) }),
  })
  return `${checksum(body)} ${body}\n`
}

export function header(): string {
  return HEADER
}

export interface Recovered {
  readonly state: FoldState
  /** How much of the file counts. */
  readonly length: number
  readonly recovery: Recovery | undefined
}

/** The state a file holds; SnapshotError `InvalidFormat` or `Corrupted` where it holds none. */
export function recover(file: Buffer, path: string): Recovered {
  if (HEADER.startsWith(file.toString('latin1'))) return { state: EMPTY, length: 0, recovery: undefined }
  if (file.subarray(0, HEADER.length).toString('latin1') !== HEADER)
    throw new SnapshotError('InvalidFormat', `${path} is not a reference store`, { path, at: 0 })
  let state = EMPTY
  let tornAt: number | undefined
  for (let offset = HEADER.length; offset < file.length;) {
    const end = file.indexOf('\n', offset)
    const line = file.subarray(offset, end === -1 ? file.length : end).toString()
    const [sum, body] = [line.slice(0, 16), line.slice(17)]
    const sound = end !== -1 && line[16] === ' ' && sum === checksum(body)
    if (sound && tornAt !== undefined)
      throw new SnapshotError('Corrupted', `${path} is damaged at ${tornAt}`, { path, at: tornAt })
    if (sound) state = replay(state, body)
    else tornAt ??= offset
    offset = end === -1 ? file.length : end + 1
  }
  if (tornAt === undefined) return { state, length: file.length, recovery: undefined }
  return { state, length: tornAt, recovery: { verdict: 'torn', at: tornAt, bytes: file.length - tornAt } }
}

function replay(state: FoldState, body: string): FoldState {
  const { updates, cursor, lineage } = JSON.parse(body) as {
    readonly updates: readonly ['put' | 'delete' | 'purge', string, string, string][]
    readonly cursor: string
    readonly lineage?: string
  }
  const batch = updates.map(([operation, key, version, value]): KvUpdate => {
    const common = { key, version: VersionToken.fromHex(version) }
    return operation === 'put' ? { operation, ...common, value: hexToBytes(value) } : { operation, ...common }
  })
  return advance(
    state,
    batch,
    WatchCursor.fromHex(cursor),
    lineage === undefined ? undefined : hexToBytes(lineage),
  )
}

function checksum(body: string): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 16)
}
