export interface OverrunInput {
  /** Through which revision everything was applied. */
  readonly revision: bigint
  /** The source's time of a message at or below that revision, Unix milliseconds; undefined when none is known. */
  readonly appliedAtMs: bigint | undefined
  readonly firstRevision: bigint | undefined
  readonly evictsCurrentValues: boolean | undefined
  /** As a source describes itself. */
  readonly evictsAfterMs: number | undefined
  readonly serverTimeMs: number | undefined
  /** Whether a replica of record remembers that its bucket evicted. */
  readonly evictionSeen: boolean
}

/**
 * Whether a bucket may have evicted something above `revision`. Overwriting moves the first revision too
 * and loses nothing, so it tells only where current values can be evicted, or the source cannot say that
 * they are not. That a bucket does not evict any more says nothing of when it did.
 *
 * Where nothing but age evicts, a gap that begins with a message of less than half that age holds
 * overwritten messages only. The other half is what the clocks of servers may differ by, either way.
 */
export function overrun(input: OverrunInput): boolean {
  const { firstRevision, appliedAtMs, evictsAfterMs, serverTimeMs } = input
  if (firstRevision === undefined || firstRevision <= input.revision + 1n) return false
  if (input.evictsCurrentValues === false) return input.evictionSeen
  if (appliedAtMs === undefined || evictsAfterMs === undefined || serverTimeMs === undefined) return true
  return Math.abs(serverTimeMs - Number(appliedAtMs)) > evictsAfterMs / 2
}
