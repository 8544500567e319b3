import { setImmediate as nextTurn } from 'node:timers/promises'

/** Writes again and again while `body` runs; gives the event loop a turn between two writes. */
export async function whileWriting(
  write: (i: number) => Promise<unknown>,
  body: () => Promise<void>,
): Promise<void> {
  const stop = new AbortController()
  const writing = (async () => {
    for (let i = 0; !stop.signal.aborted; i++) {
      await write(i)
      await nextTurn()
    }
  })()
  try {
    await body()
  } finally {
    stop.abort()
    await writing
  }
}
