import type { Protocol } from '@slip/kv-core'
import { LARGE_ARTIFACTS, MEDIUM_ARTIFACTS, SMALL_ARTIFACTS } from './artifact-configurations.ts'
import { SMALL_COUNT } from './ancestor-exports.ts'
import { DEEP_OPENERS, LARGE_OPENERS, MEDIUM_OPENERS, SMALL_OPENERS } from './opener-configurations.ts'
import { DEEP_PARTS, LARGE_PARTS, MEDIUM_PARTS, SMALL_PARTS } from './part-configurations.ts'
import { configuration, type Configuration } from './configuration.ts'
import { attachModel } from './models/attach-model.ts'
import type { AttachOptions } from './models/attach-state.ts'
import { countModel, type CountOptions } from './models/count-model.ts'
import { flushModel } from './models/flush-model.ts'
import type { FlushOptions } from './models/flush-state.ts'
import { HAZARDS } from './models/hazards.ts'
import { listingModel, type ListingOptions } from './models/listing-model.ts'
import { resyncModel } from './models/resync-model.ts'
import type { ResyncOptions } from './models/resync-state.ts'
import { silenceModel } from './models/silence-model.ts'
import { watchModel } from './models/watch-model.ts'
import type { WatchOptions } from './models/watch-state.ts'

type Decisions = readonly (keyof Protocol)[]

const ATTACH: Decisions = [
  'attach',
  'judgeHistory',
  'resumeStart',
  'onDelivery',
  'onBookmark',
  'settles',
  'audit',
  'listAgain',
  'judgeListed',
  'auditListing',
  'listingIsTruth',
  'overrun',
  'sawEviction',
]
const FORWARD: Decisions = [...ATTACH, 'fastForwardTo', 'mayFastForward']
const WATCH: Decisions = ['resumeStart', 'onDelivery', 'onBookmark', 'handOver']
const FLUSH: Decisions = ['afterFlush', 'afterReopen', 'handOver']
const LISTING: Decisions = ['judgeListed', 'auditListing']
const RESYNC: Decisions = ['attach', 'audit', 'resumeStart', 'handOver', 'takesBack']

export const attaching = (options: AttachOptions): Configuration =>
  configuration(
    options.artifacts === true ? FORWARD : ATTACH,
    (rules) => attachModel(options, rules),
    `attach, ${options.name}`,
  )
export const watching = (options: WatchOptions): Configuration =>
  configuration(WATCH, (rules) => watchModel(options, rules), `watch, ${options.name}`)
export const flushing = (options: FlushOptions): Configuration =>
  configuration(FLUSH, (rules) => flushModel(options, rules), `flush, ${options.name}`)
export const resyncing = (options: ResyncOptions): Configuration =>
  configuration(RESYNC, (rules) => resyncModel(options, rules), `resync, ${options.name}`)
export const counting = (options: CountOptions): Configuration =>
  configuration(['audit'], (rules) => countModel(options, rules), `count, ${options.name}`)
export const listing = (options: ListingOptions): Configuration =>
  configuration(LISTING, (rules) => listingModel(options, rules), `listing, ${options.name}`)

const two = { keys: 2, revisions: 3 } as const

type Keeping = Omit<AttachOptions, 'name'>
export const keeping: Keeping = { ...two, faults: ['discardOld', 'shrinkLimit'], whenEvicted: 'keep' }

/** Replicas of record of buckets that evict. */
export const KEEPING: readonly AttachOptions[] = [
  { name: 'keep, a bucket that evicts', ...keeping, evicts: true },
  { name: 'keep, a bucket that begins to evict', ...keeping, evicts: 'begins' },
  { name: 'keep, a bucket that evicts no more', ...keeping, evicts: 'ends' },
  {
    name: 'keep, purged before it evicts',
    ...keeping,
    faults: ['purgeSubject', 'shrinkLimit'],
    evicts: true,
  },
]

/** Seconds together: every test run, and what mutants are shown. */
export const SMALL: readonly Configuration[] = [
  configuration(['watchdog', 'proofOfLife'], silenceModel, 'silence'),
  flushing({ name: 'synced', updates: 3, durability: 'synced', damage: true, aborts: true }),
  flushing({ name: 'by the system', updates: 3, durability: 'os', damage: true, aborts: true }),
  flushing({
    name: 'not to be opened again',
    updates: 3,
    durability: 'synced',
    reopenable: false,
    aborts: true,
  }),
  flushing({ name: 'with a poisoned update', updates: 3, durability: 'synced', poison: 2, aborts: true }),
  watching({ name: 'plain', ...two }),
  watching({ name: 'one key followed', ...two, scoped: 1 }),
  watching({ name: 'failing commits', ...two, failures: true, crashes: false }),
  watching({ name: 'redelivery', ...two, redeliveries: 2 }),
  watching({ name: 'retention', ...two, retention: true }),
  resyncing({ name: 'staged', ...two }),
  resyncing({ name: 'staged folds that are lost', ...two, crashes: false, discards: 2, strict: true }),
  counting({ name: 'writers only', keys: 2, revisions: 5 }),
  counting({ name: 'one removal', keys: 2, revisions: 5, removals: 1 }),
  counting({ name: 'narrow, writers only', keys: 2, revisions: 5, narrow: true, slow: true }),
  counting({ name: 'narrow, one removal', keys: 2, revisions: 5, removals: 1, rewrites: 1, narrow: true }),
  counting({ name: 'narrow, two removals', keys: 2, revisions: 4, removals: 2, rewrites: 0, narrow: true }),
  SMALL_COUNT.configuration,
  ...SMALL_ARTIFACTS,
  ...SMALL_PARTS,
  ...SMALL_OPENERS,
  listing({ name: 'removals', ...two }),
  listing({ name: 'writers only', keys: 2, revisions: 4, removals: false }),
  attaching({ name: 'writers only', ...two, faults: [], calm: true }),
  attaching({ name: 'writers only, one anchor', ...two, faults: [], anchors: 1, calm: true }),
  attaching({ name: 'one key followed', ...two, scoped: 1, faults: ['purgeSubject', 'cleanMarker'] }),
  ...HAZARDS.map(({ options }) => attaching(options)),
  attaching({ name: 'every silent removal', ...two, faults: ['purge', 'purgeSubject', 'cleanMarker'] }),
  attaching({ name: 'a bucket that evicts', ...two, faults: ['discardOld', 'shrinkLimit'], evicts: true }),
  attaching({ name: 'a bucket that does not say', ...two, faults: ['shrinkLimit'], evicts: 'unknown' }),
  attaching({ name: 'keep', ...two, faults: ['purgeSubject', 'cleanMarker'], whenEvicted: 'keep' }),
  ...KEEPING.map((options) => attaching(options)),
  attaching({ name: 'rollback', ...two, eras: 2, faults: ['rollback'] }),
  attaching({ name: 'behind an artifact', ...two, faults: ['purgeSubject', 'cleanMarker'], artifacts: true }),
  attaching({ name: 'behind an artifact, keep', ...keeping, evicts: true, artifacts: true }),
  attaching({
    name: 'rollback, one anchor',
    ...two,
    eras: 2,
    faults: ['rollback'],
    anchors: 1,
    byRevision: true,
  }),
  attaching({ name: 'recreated while the watch opens', ...two, eras: 2, faults: ['recreate'], gap: true }),
  attaching({
    name: 'rolled back while the watch opens',
    ...two,
    eras: 2,
    faults: ['rollback'],
    gap: true,
    reconnects: true,
  }),
]

/** About a million states: every test run. */
export const MEDIUM: readonly Configuration[] = [
  ...MEDIUM_ARTIFACTS,
  ...MEDIUM_PARTS,
  ...MEDIUM_OPENERS,
  attaching({ name: 'rollback, four writes', keys: 2, revisions: 4, eras: 2, faults: ['rollback'] }),
  attaching({
    name: 'recreated and purged',
    ...two,
    eras: 2,
    faults: ['recreate', 'purgeSubject', 'cleanMarker'],
    gap: true,
  }),
  attaching({ name: 'behind an artifact, rollback', ...two, eras: 2, faults: ['rollback'], artifacts: true }),
  attaching({
    name: 'behind an artifact, recreated',
    ...two,
    eras: 2,
    faults: ['recreate'],
    artifacts: true,
  }),
  watching({ name: 'four writes', keys: 2, revisions: 4, retention: true, redeliveries: 1 }),
  resyncing({ name: 'four writes', keys: 2, revisions: 4, discards: 1 }),
  listing({ name: 'four writes', keys: 2, revisions: 4 }),
  counting({ name: 'three keys', keys: 3, revisions: 5, removals: 1, rewrites: 1 }),
  counting({ name: 'three keys, narrow', keys: 3, revisions: 5, removals: 1, rewrites: 1, narrow: true }),
  counting({ name: 'three keys, writers only', keys: 3, revisions: 6, slow: true }),
  flushing({ name: 'six updates', updates: 6, batch: 3, durability: 'synced', damage: true, aborts: true }),
]

/** Minutes and gigabytes: `explore deep`. */
export const DEEP: readonly Configuration[] = [
  ...DEEP_PARTS,
  ...DEEP_OPENERS,
  attaching({
    name: 'three keys followed, recreated and purged, deep',
    keys: 3,
    revisions: 4,
    eras: 2,
    faults: ['recreate', 'purgeSubject'],
  }),
]

/** More than ten million states: `explore`. */
export const LARGE: readonly Configuration[] = [
  ...LARGE_ARTIFACTS,
  ...LARGE_PARTS,
  ...LARGE_OPENERS,
  attaching({
    name: 'three keys, recreated and purged',
    keys: 3,
    scoped: 2,
    revisions: 4,
    eras: 2,
    faults: ['recreate', 'purgeSubject'],
  }),
  attaching({
    name: 'three keys, rollback',
    keys: 3,
    revisions: 3,
    eras: 2,
    faults: ['rollback'],
    anchors: 3,
  }),
  watching({
    name: 'three keys',
    keys: 3,
    scoped: 2,
    revisions: 4,
    retention: true,
    failures: true,
    redeliveries: 1,
  }),
  resyncing({ name: 'three keys', keys: 3, revisions: 4, discards: 1 }),
]
