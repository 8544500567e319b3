const MOST = 1 << 10

/** A decision about two small numbers, asked once of each pair. */
export function remembered<R>(decide: (a: number, b: number) => R): (a: number, b: number) => R {
  const known: R[] = []
  return (a, b) => (known[a * MOST + b] ??= decide(a, b))
}
