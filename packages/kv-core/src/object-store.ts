import type { WaitOptions } from './source.ts'

/** A range that reaches beyond the end is cut there; what begins at the end or behind it has no bytes. */
export interface ObjectRange {
  readonly start: number
  readonly length: number
}

export interface ObjectGetOptions extends WaitOptions {
  readonly range?: ObjectRange | undefined
  /**
   * Whether the bytes of a whole object are compared with the digest that the store keeps, where it keeps one. false for who
   * compares them with one of their own. @default true
   */
  readonly verify?: boolean | undefined
}

/** An object as it was when it was asked for: never a mixture of two. */
export interface StoredObject {
  /**
   * Once. A piece is valid until the next one is asked for. It has to be iterated, or its iterator returned:
   * until then it may hold a file or a connection.
   */
  readonly body: AsyncIterable<Uint8Array>
  /** Of the whole object, with a range too. */
  readonly size: number
  /** Opaque. Other content has another one. */
  readonly etag: string
}

/** `absent`: only when there is no such object. `etag`: only when it is still this one. */
export type ObjectCondition = 'absent' | { readonly etag: string }

export interface ObjectPutOptions extends WaitOptions {
  readonly condition?: ObjectCondition | undefined
}

export interface ListedObject {
  readonly name: string
  readonly size: number
  /** By the store's clock. */
  readonly modifiedMs: number
}

/**
 * What a transport of artifacts must be. A name is parts separated by `/`, none of them empty, `.` or
 * `..`; KvError `InvalidKey` for any other, and nothing is asked. Calls may overlap. `signal` ends a
 * call with its reason, `timeoutMs` one that waits as long for the other side with KvError `Timeout`.
 * Whoever begins to read behind a call that has resolved sees what it did.
 *
 * KvError `Unreachable`, `Unauthorized`, `PermissionDenied`, `QuotaExceeded`, `OutcomeUnknown`, `Closed`;
 * SnapshotError `Io` where the store is in files.
 */
export interface ObjectStore {
  readonly capabilities: {
    /** The condition `absent`. */
    readonly createOnly: boolean
    /** The condition `etag`. */
    readonly compareAndSwap: boolean
    readonly rangeReads: boolean
  }
  /** undefined when there is none. */
  get(name: string, options?: ObjectGetOptions): Promise<StoredObject | undefined>
  /**
   * All of the object or none: nobody sees it before its last byte is stored, and what ends early, also by an
   * error of `body`, which is passed on, leaves what was there before and nothing else. `conflict` when
   * the condition did not hold. A condition the store has no capability for is KvError `Unsupported`, never
   * ignored.
   */
  put(
    name: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: ObjectPutOptions,
  ): Promise<{ readonly etag: string } | 'conflict'>
  /** Each object once whose name begins with `prefix`, in any order. */
  list(prefix: string, options?: WaitOptions): AsyncIterable<ListedObject>
  /** What is not there is no error. */
  delete(name: string, options?: WaitOptions): Promise<void>
  close?(): Promise<void>
}
