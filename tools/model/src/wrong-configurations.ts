import { protocol } from '@slip/kv-core'
import { ARTIFACT_LIMITS, WRONG_ARTIFACTS } from './artifact-configurations.ts'
import type { WrongConfiguration } from './configuration.ts'
import { attaching, counting, flushing, keeping, listing, resyncing, watching } from './configurations.ts'
import { HAZARDS } from './models/hazards.ts'
import { WRONG_OPENERS } from './opener-configurations.ts'
import { WRONG_PARTS } from './part-configurations.ts'
import { ancestor } from './rules/ancestor.ts'

const two = { keys: 2, revisions: 3 } as const
const HOLDS_PREFIX = 'what the bucket holds up to the cursor, the fold holds'
const LIVING_PREFIX = 'what the bucket holds up to the cursor of a living watch, its fold holds'
const CONVERGES = 'at rest the fold equals the bucket, or says that it was not compared'
const MIRRORS = 'at rest what apply made equals the fold, but for what vanished before its commit'
const KEEPS = 'what was written up to the cursor and not deleted, a replica of record holds'
const HONEST = 'what an audit claims is right'
const MISSED_NONE = 'an audit that says equal missed no key that was removed'

const BREAKS = new Set(['H9', 'H10', 'H11'])

/** The ancestor's rules, each hazard by itself. */
export const ANCESTOR: readonly WrongConfiguration[] = HAZARDS.map(({ id, options }) => ({
  configuration: attaching(options),
  rules: ancestor,
  property: BREAKS.has(id) ? LIVING_PREFIX : CONVERGES,
}))

/** Rules, stores and sources that do what ours must not. */
export const WRONG_RULES: readonly WrongConfiguration[] = [
  ...WRONG_ARTIFACTS,
  ...WRONG_PARTS,
  ...WRONG_OPENERS,
  {
    configuration: watching({ name: 'resumes from what was delivered', ...two, resumesFrom: 'delivered' }),
    rules: protocol,
    property: HOLDS_PREFIX,
  },
  {
    configuration: watching({ name: 'bookmarks the end of the stream', ...two, bookmarks: 'stream' }),
    rules: protocol,
    property: HOLDS_PREFIX,
  },
  {
    configuration: resyncing({ name: 'removals settled before the listing', ...two, removals: 'before' }),
    rules: protocol,
    property: MIRRORS,
  },
  {
    configuration: resyncing({ name: 'removals after the swap', ...two, removals: 'swapped' }),
    rules: protocol,
    property: MIRRORS,
  },
  {
    configuration: resyncing({
      name: 'what a staged fold that is lost gave is not taken back',
      ...two,
      crashes: false,
      discards: 1,
      strict: true,
    }),
    rules: { ...protocol, takesBack: () => false },
    property: MIRRORS,
  },
  {
    configuration: resyncing({ name: 'a fold made anew in its place', ...two, place: 'inPlace' }),
    rules: protocol,
    property: 'what a reader saw, and the bucket still has, does not disappear',
  },
  {
    configuration: flushing({
      name: 'the handle that failed is written again',
      updates: 2,
      durability: 'synced',
      consequencesOnly: true,
    }),
    rules: { ...protocol, afterFlush: (input) => ({ ...protocol.afterFlush(input), handle: 'good' }) },
    property: 'nothing is written behind a write that failed',
  },
  {
    configuration: flushing({
      name: 'the cache is believed after a failed sync',
      updates: 2,
      durability: 'synced',
      reopening: 'trusts',
    }),
    rules: protocol,
    property: 'durable is what the disk has',
  },
  {
    configuration: attaching({
      name: 'a source that does not look again when it opens',
      ...two,
      eras: 2,
      faults: ['recreate'],
      gap: true,
      opensChecked: false,
      provesAgain: false,
    }),
    rules: protocol,
    property: LIVING_PREFIX,
  },
  {
    configuration: attaching({
      name: 'a history that is proven before the watch begins, and not again',
      ...two,
      eras: 2,
      faults: ['rollback'],
      gap: true,
      reconnects: true,
      provesAgain: false,
    }),
    rules: protocol,
    property: LIVING_PREFIX,
  },
  {
    configuration: attaching({
      name: 'keep, gaps are not asked about',
      ...keeping,
      evicts: true,
      guarded: false,
    }),
    rules: protocol,
    property: KEEPS,
  },
  {
    configuration: attaching({
      name: 'keep, what a complete rebuild lacks is deleted without asking again',
      ...keeping,
      faults: ['purgeSubject', 'shrinkLimit'],
      evicts: true,
      asksAgain: false,
    }),
    rules: protocol,
    property: KEEPS,
  },
  {
    configuration: attaching({
      name: 'a rollback meets a fold that was cut off while it caught up',
      keys: 2,
      revisions: 4,
      eras: 2,
      faults: ['rollback'],
    }),
    rules: {
      ...protocol,
      attach: (input) => protocol.attach({ ...input, fold: { ...input.fold, settled: undefined } }),
    },
    property: LIVING_PREFIX,
  },
  {
    configuration: attaching({
      name: 'a fold that was caught up once counts as settled from there on',
      keys: 2,
      revisions: 4,
      eras: 2,
      faults: ['rollback'],
    }),
    rules: { ...protocol, settles: ({ settled, atEnd }) => settled || atEnd },
    property: LIVING_PREFIX,
  },
  {
    configuration: attaching({
      name: 'an audit is believed before the history was asked',
      ...two,
      eras: 2,
      faults: ['rollback'],
      claims: 'atOnce',
    }),
    rules: protocol,
    property: HONEST,
  },
  {
    configuration: counting({
      name: 'a session that is not held while the bucket is described',
      keys: 2,
      revisions: 4,
      holds: false,
    }),
    rules: protocol,
    property: 'an audit finds no difference where nothing was removed',
  },
  {
    configuration: counting({
      name: 'the second time only the fold is counted',
      keys: 2,
      revisions: 4,
      removals: 2,
      rewrites: 0,
      narrow: true,
      countsAgain: false,
    }),
    rules: protocol,
    property: MISSED_NONE,
  },
]

/** What stays outside of the promises: each fails with our rules, and is said in the docs. */
export const LIMITS: readonly WrongConfiguration[] = [
  ...ARTIFACT_LIMITS,
  {
    configuration: attaching({
      name: 'keep, a bucket evicts and stops evicting while nobody looks',
      ...keeping,
      evicts: 'endsUnseen',
    }),
    rules: protocol,
    property: KEEPS,
  },
  {
    configuration: attaching({
      name: 'keep, a marker is cleaned up in a bucket that evicts',
      ...keeping,
      faults: ['discardOld', 'cleanMarker'],
      evicts: true,
    }),
    rules: protocol,
    property: KEEPS,
  },
  {
    configuration: watching({
      name: 'a value vanishes between apply and its commit',
      ...two,
      retention: true,
      strict: true,
    }),
    rules: protocol,
    property: MIRRORS,
  },
  {
    configuration: resyncing({
      name: 'a value vanishes after apply was given it for a staged fold that a crash takes',
      ...two,
      strict: true,
    }),
    rules: protocol,
    property: MIRRORS,
  },
  {
    configuration: flushing({
      name: 'a process ends after a failed sync, and the next believes the cache',
      updates: 2,
      durability: 'synced',
      forgetsFailure: true,
    }),
    rules: protocol,
    property: 'durable is what the disk has',
  },
  {
    configuration: attaching({
      name: 'a rollback brings back what was purged and the fold never had',
      ...two,
      eras: 2,
      faults: ['rollback', 'purgeSubject'],
    }),
    rules: protocol,
    property: LIVING_PREFIX,
  },
  {
    configuration: attaching({
      name: 'another content under a revision, and nothing remembered is left',
      ...two,
      eras: 2,
      faults: ['rollback'],
      anchors: 1,
    }),
    rules: protocol,
    property: LIVING_PREFIX,
  },
  {
    configuration: attaching({
      name: 'a watch outlives a rollback',
      ...two,
      eras: 2,
      faults: ['rollback'],
      survives: true,
    }),
    rules: protocol,
    property: HONEST,
  },
  {
    configuration: listing({
      name: 'a deleted key is put again before the fold hears of the delete, in a bucket that keeps one revision',
      keys: 2,
      revisions: 4,
      history: 1,
      removals: false,
    }),
    rules: protocol,
    property: 'a listing finds nothing wrong where nothing was removed',
  },
  {
    configuration: counting({
      name: 'a key is removed, and another written twice before the fold hears of it, in a narrow scope',
      keys: 3,
      revisions: 7,
      removals: 1,
      narrow: true,
    }),
    rules: protocol,
    property: MISSED_NONE,
  },
]
