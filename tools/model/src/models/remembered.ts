/** A decision about two small numbers, asked once of each pair. */
export function remembered<R>(decide: (a: number, b: number) => R): (a: number, b: number) => R {
  const known: (R | undefined)[][] = []
  return (a, b) => {
    const row = (known[a] ??= [])
    return (row[b] ??= decide(a, b))
  }
}
