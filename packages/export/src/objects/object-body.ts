/** Gives the next piece, or undefined behind the last one. */
export type NextPiece = () => Promise<Uint8Array | undefined>

/** A body that lets go of what it holds when it ends, fails or is left, also before its first piece. */
export function bodyOf(next: NextPiece, release: () => Promise<void>): AsyncIterable<Uint8Array> {
  let over = false
  const end = async (): Promise<void> => {
    if (over) return
    over = true
    await release()
  }
  const iterator: AsyncIterator<Uint8Array, undefined> = {
    next: async () => {
      if (over) return { done: true, value: undefined }
      let piece: Uint8Array | undefined
      try {
        piece = await next()
      } catch (error) {
        await end().catch(() => undefined)
        throw error
      }
      if (piece !== undefined) return { done: false, value: piece }
      await end()
      return { done: true, value: undefined }
    },
    return: async () => {
      await end()
      return { done: true, value: undefined }
    },
  }
  return { [Symbol.asyncIterator]: () => iterator }
}

/** A body of bytes that are there already. */
export function bodyOfBytes(bytes: Uint8Array, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  let given = bytes.length === 0
  return bodyOf(
    async () => {
      signal?.throwIfAborted()
      if (given) return undefined
      given = true
      return bytes
    },
    async () => undefined,
  )
}

/** What `piecesOf` throws when the body did: its error is the caller's own, and is passed on as it is. */
export class BodyFailed {
  readonly error: unknown

  constructor(error: unknown) {
    this.error = error
  }
}

/** What is put, in pieces. `BodyFailed` for the error of a body; the signal's reason also while a piece is awaited. */
export async function* piecesOf(
  body: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  signal?.throwIfAborted()
  if (body instanceof Uint8Array) {
    if (body.length > 0) yield body
    return
  }
  const pieces = body[Symbol.asyncIterator]()
  let isOver = false
  try {
    for (;;) {
      const { done, value } = await orAborted(
        pieces.next().catch((error: unknown) => {
          throw new BodyFailed(error)
        }),
        signal,
      )
      isOver = done === true
      if (isOver) return
      if (value.length > 0) yield value
      signal?.throwIfAborted()
    }
  } catch (error) {
    isOver ||= error instanceof BodyFailed
    throw error
  } finally {
    // Of a body that hangs nothing is waited for.
    if (!isOver) void pieces.return?.().catch(() => undefined)
  }
}

/** The same promise, but for the signal's reason as soon as it is aborted. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  promise.catch(() => undefined)
  signal.throwIfAborted()
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** All of a body; undefined when it has more than `mostBytes`. */
export async function collect(
  body: AsyncIterable<Uint8Array>,
  mostBytes: number,
): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of body) {
    bytes += piece.length
    if (bytes > mostBytes) return undefined
    pieces.push(piece.slice())
  }
  return Buffer.concat(pieces)
}
