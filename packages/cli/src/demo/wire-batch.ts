import {
  KvError,
  VersionToken,
  WatchCursor,
  type KvErrorCode,
  type KvUpdate,
  type WatchBatch,
} from '@slip/kv-core'

type Wire<T> = T extends unknown ? Omit<T, 'version'> & { readonly version: Uint8Array } : never

/** A batch in a form that a message between processes can hold. */
export interface WireBatch {
  readonly updates: readonly Wire<KvUpdate>[]
  readonly bookmark: Uint8Array | undefined
  readonly caughtUp: boolean
  readonly atEnd?: boolean
}

export interface WireError {
  readonly code: KvErrorCode
  readonly message: string
}

export function encodeBatch({ updates, bookmark, caughtUp, atEnd }: WatchBatch): WireBatch {
  return {
    updates: updates.map((update) => ({ ...update, version: update.version.toBytes() })),
    bookmark: bookmark?.toBytes(),
    caughtUp,
    ...(atEnd === undefined ? {} : { atEnd }),
  }
}

export function decodeBatch({ updates, bookmark, caughtUp, atEnd }: WireBatch): WatchBatch {
  return {
    updates: updates.map((update) => ({ ...update, version: VersionToken.fromBytes(update.version) })),
    ...(bookmark === undefined ? {} : { bookmark: WatchCursor.fromBytes(bookmark) }),
    caughtUp,
    ...(atEnd === undefined ? {} : { atEnd }),
  }
}

export function encodeError(error: unknown): WireError {
  if (KvError.is(error)) return { code: error.code, message: error.message }
  return { code: 'Unreachable', message: String(error) }
}

export function decodeError({ code, message }: WireError): KvError {
  return new KvError(code, message)
}
