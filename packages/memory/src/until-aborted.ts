/** The same items; a wait for the next one ends with the signal's reason when it aborts. */
export function untilAborted<T>(
  items: Iterable<T> | AsyncIterable<T>,
  signal: AbortSignal | undefined,
): Iterable<T> | AsyncIterable<T> {
  return signal === undefined || Symbol.iterator in items ? items : abortable(items, signal)
}

async function* abortable<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (;;) {
      const result = await first(iterator.next(), signal)
      if (result.done === true) return
      yield result.value
    }
  } finally {
    // What hangs would hold up this end too, so it is not waited for.
    void leave(iterator).catch(() => undefined)
  }
}

async function leave(iterator: AsyncIterator<unknown>): Promise<void> {
  await iterator.return?.()
}

async function first<T>(next: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort!: () => void
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error)
  })
  signal.addEventListener('abort', onAbort)
  try {
    signal.throwIfAborted()
    return await Promise.race([next, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
