import { join } from 'node:path'
import type { ObjectStore, PayloadFile, WaitOptions } from '@slip/kv-core'
import { refused } from '../artifact-error.ts'
import { openUntrusted, readStretches } from '../artifact-files.ts'
import { HASH_STRETCH_BYTES, newBlake3, type Hasher } from '../blake3.ts'
import { MOST_PIECES, type Part } from './part-list.ts'
import { digestOf, partName } from './part-name.ts'

const LEAST_PIECE_BYTES = 32 * 1024 * 1024

/** How large the pieces of a base are. An upload that broke sends only those again that are not there. */
export function pieceBytes(size: number): number {
  return Math.max(LEAST_PIECE_BYTES, Math.ceil(size / MOST_PIECES))
}

/** The digests of the pieces of what is read through it. */
export class PieceDigests {
  readonly #each: number
  readonly digests: string[] = []
  #hash: Hasher | undefined
  #left = 0

  constructor(each: number) {
    this.#each = each
  }

  async *through(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of pieces) {
      for (let at = 0; at < bytes.length;) {
        if (this.#hash === undefined) [this.#hash, this.#left] = [await newBlake3(), this.#each]
        const taken = bytes.subarray(at, at + this.#left)
        this.#hash.update(taken)
        this.#left -= taken.length
        at += taken.length
        if (this.#left === 0) this.#end()
      }
      yield bytes
    }
    if (this.#hash !== undefined) this.#end()
  }

  #end(): void {
    this.digests.push(this.#hash!.digest())
    this.#hash = undefined
  }
}

/** A part that is here: its bytes are given from `start` on in a file. */
export interface LocalPart extends Part {
  readonly path: string
  readonly start: number
}

/** The pieces of a payload's file, each to be put as a part. */
export function piecesOf(
  directory: string,
  { name, size }: PayloadFile,
  prefix: string,
  digests: readonly string[],
): readonly LocalPart[] {
  const each = pieceBytes(size)
  return digests.map((digest, i) => ({
    part: partName(prefix, digest),
    size: Math.min(each, size - i * each),
    path: join(directory, name),
    start: i * each,
  }))
}

/** The bytes of a part. Throws behind the last one at the latest when they are not what its name says. */
export async function* readPart(
  part: LocalPart,
  { signal }: { readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  const opened = await openUntrusted(part.path)
  if (opened === undefined) throw refused(`${part.path} is no regular file`, { path: part.path })
  const { handle } = opened
  try {
    const hash = await newBlake3()
    let left = part.size
    const within = {
      read: async (buffer: Uint8Array, offset: number, length: number, position: number) =>
        handle.read(
          buffer,
          offset,
          Math.min(length, Math.max(0, part.size - position)),
          part.start + position,
        ),
    }
    for await (const stretch of readStretches(within, HASH_STRETCH_BYTES)) {
      signal?.throwIfAborted()
      hash.update(stretch)
      left -= stretch.length
      yield stretch
    }
    if (left !== 0 || hash.digest() !== digestOf(part.part))
      throw refused('its payload changed while it was published', { path: part.path })
  } finally {
    await handle.close().catch(() => undefined)
  }
}

/** Whether an object is there, by its first byte. */
export async function isThere(store: ObjectStore, name: string, wait: WaitOptions): Promise<boolean> {
  const found = await store.get(name, { ...wait, range: { start: 0, length: 1 } })
  await found?.body[Symbol.asyncIterator]().return?.()
  return found !== undefined
}
