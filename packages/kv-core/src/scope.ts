import { compareKeys } from './keys.ts'

/**
 * Which keys a watch or a fold is about, as byte prefixes. An empty list is a `TypeError`; the empty
 * prefix is every key.
 */
export type WatchScope = 'all' | { readonly prefix: string } | { readonly prefixes: readonly string[] }

/**
 * The canonical form of a scope: sorted prefixes by key bytes, none inside another, `['']` for all.
 * Two scopes with equal canonical forms cover the same keys.
 */
export function scopePrefixes(scope: WatchScope): readonly string[] {
  if (scope === 'all') return ['']
  const given = 'prefix' in scope ? [scope.prefix] : [...scope.prefixes]
  if (given.length === 0) throw new TypeError("a scope needs at least one prefix; use 'all' for every key")
  const kept: string[] = []
  for (const prefix of given.sort(compareKeys)) {
    const last = kept.at(-1)
    if (last === undefined || !prefix.startsWith(last)) kept.push(prefix)
  }
  return kept
}

/** Whether `key` lies under one of the canonical `prefixes`. */
export function scopeCovers(prefixes: readonly string[], key: string): boolean {
  return scopeIndex(prefixes, key) >= 0
}

/** Which of the canonical `prefixes` covers `key`; -1 when none does. */
export function scopeIndex(prefixes: readonly string[], key: string): number {
  let low = 0
  let high = prefixes.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(prefixes[middle]!, key) <= 0) low = middle + 1
    else high = middle
  }
  // None lies inside another, so only the last one that sorts before the key can cover it.
  return low > 0 && key.startsWith(prefixes[low - 1]!) ? low - 1 : -1
}
