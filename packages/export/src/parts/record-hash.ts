import { createHash, hash } from 'node:crypto'

/** Of a record, in lists. */
export const RECORD_HASH_BYTES = 8

const ONE_CALL_BYTES = 16 * 1024

/**
 * The first 64 bits of SHA-256 of a salt and a record. Two records of one list are taken for each other with a chance
 * of one in 2^64 a pair, which a digest would find out; the salt is not known before the records are there.
 */
export class RecordHash {
  readonly #salt: Uint8Array
  readonly #input: Buffer

  constructor(salt: Uint8Array) {
    this.#salt = salt
    this.#input = Buffer.alloc(salt.length + ONE_CALL_BYTES)
    this.#input.set(salt)
  }

  of(record: Uint8Array): Buffer {
    if (record.length > ONE_CALL_BYTES)
      return createHash('sha256').update(this.#salt).update(record).digest().subarray(0, RECORD_HASH_BYTES)
    this.#input.set(record, this.#salt.length)
    return hash('sha256', this.#input.subarray(0, this.#salt.length + record.length), 'buffer').subarray(
      0,
      RECORD_HASH_BYTES,
    )
  }
}
