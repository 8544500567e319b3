const BEGAN = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z/

/**
 * Orders two histories of one bucket by the times at which they began, which incarnations begin with as RFC
 * 3339 writes them in UTC: 0 also where neither is stated. undefined when one is
 * not, when one has no time, and for two different ones of one time.
 */
export function compareHistories(a: string | undefined, b: string | undefined): -1 | 0 | 1 | undefined {
  if (a === b) return 0
  const [from, to] = [beginning(a), beginning(b)]
  if (from === undefined || to === undefined || from === to) return undefined
  return from < to ? -1 : 1
}

/** As text that sorts like the time. */
function beginning(incarnation: string | undefined): string | undefined {
  const [, second, fraction = ''] = BEGAN.exec(incarnation ?? '') ?? []
  return second === undefined ? undefined : second + fraction.padEnd(9, '0')
}
