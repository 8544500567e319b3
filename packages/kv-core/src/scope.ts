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
  return prefixes.some((prefix) => key.startsWith(prefix))
}
