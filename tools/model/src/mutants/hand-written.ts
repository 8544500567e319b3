import { protocol, type Protocol, type SourceDescription } from '@slip/kv-core'
import type { Mutant } from './mutant.ts'
import { OPENER_MUTANTS } from './opener-mutants.ts'
import { PART_MUTANTS } from './part-mutants.ts'

const mutant = (name: string, changes: Partial<Protocol>): Mutant => ({ name, changes })

function unstated(source: SourceDescription, name: keyof SourceDescription): SourceDescription {
  const stated = Object.entries(source).filter(([each]) => each !== name)
  return Object.fromEntries(stated) as unknown as SourceDescription
}

/** Mistakes one could make, for every decision of the table. */
export const HAND_WRITTEN: readonly Mutant[] = [
  ...PART_MUTANTS,
  ...OPENER_MUTANTS,
  mutant('attach: always resumes', { attach: () => ({ action: 'resume' }) }),
  mutant('attach: an empty fold is resumed, entries without a position too', {
    attach: (input) => (input.fold.cursor.isNone ? { action: 'fresh' } : protocol.attach(input)),
  }),
  mutant('attach: the incarnation is not looked at', {
    attach: (input) => protocol.attach({ ...input, source: unstated(input.source, 'incarnation') }),
  }),
  mutant('attach: a cursor above the last revision is not noticed', {
    attach: (input) => protocol.attach({ ...input, source: unstated(input.source, 'lastRevision') }),
  }),
  mutant('attach: what was found out is not told', {
    attach: (input) => protocol.attach({ ...input, finding: undefined }),
  }),
  mutant('attach: the verdict about the history is not told', {
    attach: (input) => protocol.attach({ ...input, history: undefined }),
  }),
  mutant('attach: whether the fold is settled is not told', {
    attach: (input) => protocol.attach({ ...input, fold: { ...input.fold, settled: undefined } }),
  }),
  mutant('attach: every start is a rebuild', {
    attach: (input) => {
      const decision = protocol.attach(input)
      return decision.action === 'resume'
        ? { action: 'rebuild', reason: 'countMismatch', history: 'same', evictionSeen: false }
        : decision
    },
  }),
  mutant('attach: keep is repaired from a listing', {
    attach: (input) => protocol.attach({ ...input, whenEvicted: 'drop' }),
  }),
  mutant('mayRestore: always', { mayRestore: () => undefined }),
  mutant('mayRestore: whatever the bucket has evicted since', {
    mayRestore: (input) => {
      const refusal = protocol.mayRestore(input)
      return refusal === 'expired' ? undefined : refusal
    },
  }),
  mutant('fastForwardTo: what a replica of record kept is worth no more than an artifact', {
    fastForwardTo: (input) => protocol.fastForwardTo({ ...input, whenEvicted: 'drop' }),
  }),
  mutant('mayFastForward: always', { mayFastForward: () => true }),
  mutant('mayFastForward: whatever history the artifact has', {
    mayFastForward: (input) => protocol.mayFastForward({ ...input, history: 'same' }),
  }),
  mutant('restoreKey: the artifact is always right', {
    restoreKey: (input) => (input.artifact === undefined ? protocol.restoreKey(input) : 'take'),
  }),
  mutant('restoreKey: what the bucket lists is not asked', {
    restoreKey: (input) => protocol.restoreKey({ ...input, listed: false }),
  }),
  mutant('judgeHistory: always the same', { judgeHistory: () => ({ verdict: 'same' }) }),
  mutant('judgeHistory: never the same', { judgeHistory: () => ({ verdict: 'other' }) }),
  mutant('judgeHistory: only the newest anchor is asked for', {
    judgeHistory: (evidence) =>
      evidence.at.length > 0 && evidence.at[0] === undefined
        ? { verdict: 'same' }
        : protocol.judgeHistory(evidence),
  }),
  mutant('judgeHistory: nothing is looked for below the cursor', {
    judgeHistory: (evidence) => protocol.judgeHistory({ ...evidence, firstAfter: [undefined] }),
  }),
  mutant('judgeHistory: times are not compared', {
    judgeHistory: ({ at, anchors, ...evidence }) =>
      protocol.judgeHistory({
        ...evidence,
        anchors,
        at: at.map((found, i) =>
          found?.key === anchors[i]?.key
            ? found && { ...found, writtenAtMs: Number(anchors[i]!.timeMs) }
            : found,
        ),
      }),
  }),
  mutant('judgeHistory: the ring counts as complete', {
    judgeHistory: (evidence) => protocol.judgeHistory({ ...evidence, complete: true }),
  }),
  mutant('resumeStart: from the cursor itself', {
    resumeStart: (cursor) => {
      const start = protocol.resumeStart(cursor)
      return start.action === 'start' ? { ...start, fromRevision: start.fromRevision - 1n } : start
    },
  }),
  mutant('resumeStart: one is left out', {
    resumeStart: (cursor) => {
      const start = protocol.resumeStart(cursor)
      return start.action === 'start' ? { ...start, fromRevision: start.fromRevision + 1n } : start
    },
  }),
  mutant('resumeStart: always from the beginning', { resumeStart: () => ({ action: 'fromBeginning' }) }),
  mutant('onDelivery: takes what comes', { onDelivery: () => 'apply' }),
  mutant('onDelivery: never more than a new session', {
    onDelivery: (input) => protocol.onDelivery({ ...input, suspect: false }),
  }),
  mutant('onDelivery: rebuilds at once', {
    onDelivery: (input) => protocol.onDelivery({ ...input, suspect: true }),
  }),
  mutant('onBookmark: takes every bookmark', { onBookmark: () => 'advance' }),
  mutant('onBookmark: takes none', { onBookmark: () => 'ignore' }),
  mutant('settles: always', { settles: () => true }),
  mutant('settles: never', { settles: () => false }),
  mutant('settles: a fold that was settled stays it', {
    settles: (input) => input.settled || protocol.settles(input),
  }),
  mutant('settles: only where nothing is left', { settles: ({ atEnd }) => atEnd }),
  mutant('handOver: hands over everything', { handOver: () => 'hand' }),
  mutant('handOver: hands over nothing', { handOver: () => 'skip' }),
  mutant('listAgain: never', { listAgain: () => false }),
  mutant('listAgain: without end', {
    listAgain: ({ counts, before }) => counts.keyCount !== before?.keyCount,
  }),
  mutant('listAgain: whatever it comes to', { listAgain: ({ listings }) => listings < 3 }),
  mutant('takesBack: nothing', { takesBack: () => false }),
  mutant('takesBack: what the fold in use has', {
    takesBack: ({ held, relists }) => relists && held === true,
  }),
  mutant('takesBack: all of it', { takesBack: () => true }),
  mutant('takesBack: nothing where the fold cannot be read', {
    takesBack: ({ held, relists }) => relists && held === false,
  }),
  mutant('afterFlush: the cursor advances before the commit', {
    afterFlush: (input) => ({ ...protocol.afterFlush(input), cursor: 'advance' }),
  }),
  mutant('afterFlush: the cursor stays', {
    afterFlush: (input) => ({ ...protocol.afterFlush(input), cursor: 'stay' }),
  }),
  mutant('afterFlush: a failed handle is written again', {
    afterFlush: (input) => ({ ...protocol.afterFlush(input), handle: 'good' }),
  }),
  mutant('afterFlush: an abort ends a failing commit quietly', {
    afterFlush: (input) =>
      input.aborted && input.outcome === 'commitFailed'
        ? { cursor: 'stay', handle: 'done', next: 'abandon' }
        : protocol.afterFlush(input),
  }),
  mutant('afterFlush: retries for ever', {
    afterFlush: (input) => protocol.afterFlush({ ...input, budgetMs: Infinity }),
  }),
  mutant('afterFlush: a poisoned batch is tried again', {
    afterFlush: (input) =>
      input.outcome === 'poisoned'
        ? { cursor: 'stay', handle: 'good', next: 'retry' }
        : protocol.afterFlush(input),
  }),
  mutant('afterFlush: a poisoned batch is passed over', {
    afterFlush: (input) =>
      input.outcome === 'poisoned'
        ? { cursor: 'advance', handle: 'good', next: 'continue' }
        : protocol.afterFlush(input),
  }),
  mutant('afterReopen: always commits', { afterReopen: () => 'commit' }),
  mutant('afterReopen: always begins again', { afterReopen: () => 'restart' }),
  mutant('proofOfLife: when it is taken', { proofOfLife: ({ nowMs }) => nowMs }),
  mutant('proofOfLife: the last one counts, were it older', {
    proofOfLife: ({ nowMs, receivedAtMs = nowMs }) => receivedAtMs,
  }),
  mutant('watchdog: never stale', { watchdog: () => 'live' }),
  mutant('watchdog: always stale', { watchdog: () => 'stale' }),
  mutant('audit: always equal', { audit: () => 'equal' }),
  mutant('audit: off', { audit: () => 'off' }),
  mutant('audit: always waits', { audit: () => 'wait' }),
  mutant('audit: does not wait for the last revision', {
    audit: (input) => protocol.audit({ ...input, lastRevision: input.appliedRevision }),
  }),
  mutant('audit: a bucket with fewer keys is good enough', {
    audit: (input) => {
      const verdict = protocol.audit(input)
      return verdict === 'rebuild' && input.keyCount! < input.foldCount! ? 'equal' : verdict
    },
  }),
  mutant('judgeListed: an older revision is good enough', {
    judgeListed: (input) => (input.held === undefined ? protocol.judgeListed(input) : 'match'),
  }),
  mutant('judgeListed: a missing key is passed over', {
    judgeListed: (input) => (input.held === undefined ? 'pass' : protocol.judgeListed(input)),
  }),
  mutant('auditListing: always equal', { auditListing: () => 'equal' }),
  mutant('auditListing: never equal', { auditListing: () => 'rebuild' }),
  mutant('auditListing: what the listing lacks is not counted', {
    auditListing: (tally) => protocol.auditListing({ ...tally, entries: undefined }),
  }),
  mutant('overrun: never', { overrun: () => false }),
  mutant('overrun: what the bucket says of itself today holds for the past', {
    overrun: (input) => protocol.overrun({ ...input, evictionSeen: false }),
  }),
  mutant('overrun: the age is not looked at', {
    overrun: (input) => protocol.overrun({ ...input, appliedAtMs: undefined }),
  }),
  mutant('sawEviction: never', { sawEviction: () => false }),
  mutant('sawEviction: only while it evicts', {
    sawEviction: (input) => protocol.sawEviction({ ...input, before: false }),
  }),
  mutant('sawEviction: a mirror remembers too', {
    sawEviction: (input) => protocol.sawEviction({ ...input, whenEvicted: 'keep' }),
  }),
  mutant('listingIsTruth: always', { listingIsTruth: () => true }),
  mutant('listingIsTruth: never', { listingIsTruth: () => false }),
  mutant('admitArtifact: everything', { admitArtifact: () => undefined }),
  mutant('admitArtifact: nothing', { admitArtifact: () => 'otherBucket' }),
  mutant('admitArtifact: a signature that does not fit counts as none', {
    admitArtifact: (input) =>
      protocol.admitArtifact(input.signature === 'invalid' ? { ...input, signature: 'absent' } : input),
  }),
  mutant('admitArtifact: anybody may sign', {
    admitArtifact: (input) =>
      protocol.admitArtifact(input.signature === 'untrusted' ? { ...input, signature: 'trusted' } : input),
  }),
  mutant('admitArtifact: a time in the future is young', {
    admitArtifact: (input) =>
      protocol.admitArtifact({ ...input, nowMs: Math.max(input.nowMs, input.createdAtUnix * 1000) }),
  }),
  mutant('admitArtifact: the binding is not looked at', {
    admitArtifact: (input) => protocol.admitArtifact({ ...input, binding: undefined }),
  }),
  mutant('admitArtifact: a wider scope is as good', {
    admitArtifact: (input) =>
      protocol.admitArtifact({ ...input, wanted: { ...input.wanted, scope: 'covers' } }),
  }),
  mutant('admitArtifact: an older artifact is as good', {
    admitArtifact: (input) =>
      protocol.admitArtifact({ ...input, wanted: { ...input.wanted, notBehind: undefined } }),
  }),
  mutant('publish: the last one who writes wins', { publish: () => 'publish' }),
  mutant('publish: by cursors alone', {
    publish: ({ candidate, pointer, source }) =>
      protocol.publish({
        candidate: { ...candidate, binding: undefined },
        pointer: pointer && { ...pointer, binding: undefined },
        source,
      }),
  }),
  mutant('publish: the source is not asked', {
    publish: (input) => protocol.publish({ ...input, source: undefined }),
  }),
  mutant('replacedForMs: since it was put', {
    replacedForMs: ({ payload, others, movedMs }) =>
      Math.max(movedMs ?? 0, ...others.map(({ putMs }) => putMs)) - payload.putMs,
  }),
  mutant('replacedForMs: since the pointer was moved', {
    replacedForMs: (input) => protocol.replacedForMs({ ...input, others: [] }),
  }),
  mutant('prunable: by age alone', {
    prunable: ({ isTarget, ageMs, graceMs }) => !isTarget && ageMs >= graceMs,
  }),
  mutant('prunable: histories are not looked at', {
    prunable: ({ payload, pointer, ...rest }) =>
      protocol.prunable({
        ...rest,
        payload: { ...payload, incarnation: undefined },
        pointer: { ...pointer, incarnation: undefined },
      }),
  }),
  mutant('isPublished: what is at the same cursor', {
    isPublished: ({ fold, artifact }) => fold.cursor.equals(artifact.cursor),
  }),
  mutant('isPublished: for ever', {
    isPublished: (input) => protocol.isPublished({ ...input, ageMs: 0, refreshMs: 1 }),
  }),
  mutant('isPublished: nothing ever is', { isPublished: () => false }),
  mutant('lease: whoever comes has it', {
    lease: (input) => protocol.lease({ ...input, expiresAtUnix: 0n }),
  }),
  mutant('lease: by the clocks alone', {
    lease: (input) => protocol.lease({ ...input, sighting: undefined }),
  }),
  mutant('lease: one that was seen once is held', {
    lease: (input) =>
      protocol.lease({
        ...input,
        ...(input.sighting === undefined
          ? {}
          : { sighting: { ...input.sighting, atMostMs: input.sighting.atLeastMs } }),
      }),
  }),
  mutant('lease: less than a second is nothing', {
    lease: (input) => protocol.lease({ ...input, ttlMs: Math.floor(input.ttlMs / 1000) * 1000 }),
  }),
]
