import { compareKeys, scopePrefixes, type WatchScope } from '@slip/kv-core'

/** How a scope is split between the server and us. */
export interface ScopeFilters {
  /** The canonical byte prefixes; every delivered key is held against them unless `exact`. */
  readonly prefixes: readonly string[]
  /** Subject filters for the consumer, none inside another; the server refuses overlap (10138). */
  readonly subjects: readonly string[]
  /** The subjects match exactly the keys of the scope. */
  readonly exact: boolean
}

/** Above this many filters one unfiltered consumer is cheaper than what the server pays to match. */
const MAX_FILTERS = 300
/** A filter travels in the request's subject, and a longer protocol line than 4,096 ends the connection. */
const MAX_FILTER_BYTES = 2_000

/**
 * The filters of a scope in a bucket whose keys live under `subjectPrefix` (`$KV.<bucket>.`).
 *
 * A prefix is bytes and a filter is tokens: `node` covers `nodes` and `node.a`, which no filter says,
 * so it is widened to the tokens before it and the rest is matched here. A token that is a wildcard,
 * or cannot stand in a subject, ends the part the server is asked to match.
 */
export function scopeFilters(subjectPrefix: string, scope: WatchScope): ScopeFilters {
  const prefixes = scopePrefixes(scope)
  const parents = prefixes.map((prefix) => literalParent(prefix, MAX_FILTER_BYTES - subjectPrefix.length))
  const merged = scopePrefixes({ prefixes: parents })
  if (merged.length > MAX_FILTERS)
    return { prefixes, subjects: [`${subjectPrefix}>`], exact: prefixes[0] === '' }
  return {
    prefixes,
    subjects: merged.map((parent) => `${subjectPrefix}${parent}>`),
    exact: parents.every((parent, i) => parent === prefixes[i]),
  }
}

/**
 * Whether `key` lies under one of the canonical `prefixes`. They are sorted and none is inside
 * another, so the last one not above the key is the only one it can lie under.
 */
export function covered(prefixes: readonly string[], key: string): boolean {
  let low = 0
  let high = prefixes.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(prefixes[middle]!, key) <= 0) low = middle + 1
    else high = middle
  }
  return low > 0 && key.startsWith(prefixes[low - 1]!)
}

/** The longest beginning of `prefix` that is whole literal tokens, the last dot included. */
function literalParent(prefix: string, maxBytes: number): string {
  let end = 0
  for (;;) {
    const dot = prefix.indexOf('.', end)
    if (dot < 0 || !literal(prefix.slice(end, dot))) return prefix.slice(0, end)
    if (Buffer.byteLength(prefix.slice(0, dot + 1)) > maxBytes) return prefix.slice(0, end)
    end = dot + 1
  }
}

function literal(token: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return token !== '' && token !== '*' && token !== '>' && !/[\u0000-\u0020\u007f]/.test(token)
}
