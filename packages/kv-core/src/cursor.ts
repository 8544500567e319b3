import { SnapshotError } from './errors.ts'
import { bytesToHex, hexToBytes } from './hex.ts'
import { MAX_TOKEN_BYTES, VersionToken } from './token.ts'

/**
 * What a cursor remembers beside its position: that this fold, or one it came from, saw its bucket
 * evict current values. Once set it stays. `serverTimeMs` is the server's time of the cursor's
 * message in Unix milliseconds, or of an earlier one.
 */
export interface CursorMemo {
  readonly evictionSeen: true
  readonly serverTimeMs?: bigint
}

const FLAG_EVICTION_SEEN = 1
const FLAG_SERVER_TIME = 2
const MEMO_BYTES = MAX_TOKEN_BYTES + 2
const MEMO_WITH_TIME_BYTES = MEMO_BYTES + 8

/** "Everything up to here has been applied": opaque, and stored with the data it speaks of. */
export class WatchCursor {
  static readonly none: WatchCursor = new WatchCursor(VersionToken.unknown, undefined)

  readonly token: VersionToken
  readonly memo: CursorMemo | undefined

  private constructor(token: VersionToken, memo: CursorMemo | undefined) {
    this.token = token
    this.memo = memo
  }

  static fromToken(token: VersionToken, memo?: CursorMemo): WatchCursor {
    return token.isUnknown && memo === undefined ? WatchCursor.none : new WatchCursor(token, memo)
  }

  static fromRevision(revision: bigint): WatchCursor {
    return new WatchCursor(VersionToken.fromRevision(revision), undefined)
  }

  /**
   * The stored form: 0 to 10 bytes are a bare token; 12 or 20 carry the memo (token padded to 10,
   * its length, flags, then the server time as a little-endian u64). Anything else is SnapshotError
   * `InvalidFormat`.
   */
  static fromBytes(bytes: Uint8Array): WatchCursor {
    if (bytes.length <= MAX_TOKEN_BYTES) return WatchCursor.fromToken(VersionToken.fromBytes(bytes))
    if (bytes.length !== MEMO_BYTES && bytes.length !== MEMO_WITH_TIME_BYTES)
      throw refused(`a cursor of ${bytes.length} bytes`)
    const tokenLength = bytes[MAX_TOKEN_BYTES]!
    const flags = bytes[MAX_TOKEN_BYTES + 1]!
    if (tokenLength > MAX_TOKEN_BYTES) throw refused(`a token of ${tokenLength} bytes inside a cursor`)
    if ((flags & ~(FLAG_EVICTION_SEEN | FLAG_SERVER_TIME)) !== 0) throw refused(`cursor flags ${flags}`)
    if (((flags & FLAG_SERVER_TIME) !== 0) !== (bytes.length === MEMO_WITH_TIME_BYTES))
      throw refused('a cursor whose length contradicts its flags')
    const token = VersionToken.fromBytes(bytes.subarray(0, tokenLength))
    const serverTimeMs =
      bytes.length === MEMO_WITH_TIME_BYTES ? readU64LittleEndian(bytes, MEMO_BYTES) : undefined
    if (serverTimeMs === 0n) throw refused('a cursor with a server time of zero')
    if ((flags & FLAG_EVICTION_SEEN) === 0) return WatchCursor.fromToken(token)
    return new WatchCursor(token, {
      evictionSeen: true,
      ...(serverTimeMs === undefined ? {} : { serverTimeMs }),
    })
  }

  static fromHex(hex: string): WatchCursor {
    return WatchCursor.fromBytes(hexToBytes(hex))
  }

  get revision(): bigint | undefined {
    return this.token.revision
  }

  /** No position at all: a watch from here delivers everything. */
  get isNone(): boolean {
    return this.token.isUnknown
  }

  toBytes(): Uint8Array {
    if (this.memo === undefined) return this.token.toBytes()
    const time = this.memo.serverTimeMs
    const bytes = new Uint8Array(time === undefined ? MEMO_BYTES : MEMO_WITH_TIME_BYTES)
    bytes.set(this.token.toBytes())
    bytes[MAX_TOKEN_BYTES] = this.token.byteLength
    bytes[MAX_TOKEN_BYTES + 1] = FLAG_EVICTION_SEEN | (time === undefined ? 0 : FLAG_SERVER_TIME)
    if (time !== undefined) new DataView(bytes.buffer).setBigUint64(MEMO_BYTES, time, true)
    return bytes
  }

  toHex(): string {
    return bytesToHex(this.toBytes())
  }

  /** Same token and same memo; the memo's time does not count. */
  equals(other: WatchCursor): boolean {
    return this.token.equals(other.token) && (this.memo === undefined) === (other.memo === undefined)
  }

  toJSON(): string {
    return this.toHex()
  }
}

function readU64LittleEndian(bytes: Uint8Array, at: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 8).getBigUint64(0, true)
}

function refused(what: string): SnapshotError {
  return new SnapshotError('InvalidFormat', `${what} cannot be read`)
}
