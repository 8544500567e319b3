/** Starts `work` for each item in order, at most `width` at a time; gives each one's promise at once. */
export function inPool<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): ReadonlyMap<T, Promise<R>> {
  let free = width
  const waiting: (() => void)[] = []
  const started = async (item: T): Promise<R> => {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve))
    else free--
    try {
      return await work(item)
    } finally {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }
  const promises = new Map(items.map((item) => [item, started(item)] as const))
  // Whoever reads the map may come to an entry later than its failure.
  for (const promise of promises.values()) promise.catch(() => undefined)
  return promises
}
