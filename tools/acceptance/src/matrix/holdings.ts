import type { Holding } from './matrix-bucket.ts'

/** What is wrong with `found`, one line a key; keys that nothing can be said of are left out. */
export function differences(
  whose: string,
  found: Holding,
  wanted: Holding,
  unsaid: ReadonlySet<string> = new Set(),
): readonly string[] {
  const lines: string[] = []
  for (const [key, { value, revision }] of wanted) {
    const own = found.get(key)
    if (own === undefined) lines.push(`${whose} lacks ${key}`)
    else if (own.value !== value || own.revision !== revision)
      lines.push(`${whose} has ${key} at ${own.revision}, the bucket at ${revision}`)
  }
  for (const key of found.keys())
    if (!wanted.has(key) && !unsaid.has(key)) lines.push(`${whose} still has ${key}`)
  return lines
}
