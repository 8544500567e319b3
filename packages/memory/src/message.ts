/** What a message says of its key. `expired` is the marker that replaces a key whose time was over. */
export type MessageOperation = 'put' | 'delete' | 'purge' | 'expired'

/** One write, as the bucket holds it. Messages of one key form a chain from newest to oldest. */
export interface Message {
  readonly revision: number
  readonly key: string
  readonly value: Uint8Array
  readonly operation: MessageOperation
  /** Unix milliseconds. */
  readonly timeMs: number
  /** Unix milliseconds, when this message alone has a time to live. */
  readonly expiresAtMs: number | undefined
  older: Message | undefined
}

/** Beside key and value each message costs this much of `maxBytes`, as in a NATS stream kept in memory. */
const OVERHEAD_BYTES = 16

/** What a message counts against `maxBytes`. */
export function storedBytes(message: { readonly key: string; readonly value: Uint8Array }): number {
  return message.key.length + message.value.length + OVERHEAD_BYTES
}

/** The newest message of a chain at or below `revision`. */
export function newestThrough(head: Message | undefined, revision: number): Message | undefined {
  let message = head
  while (message !== undefined && message.revision > revision) message = message.older
  return message
}
