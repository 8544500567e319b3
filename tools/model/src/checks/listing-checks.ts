import type { Protocol } from '@slip/kv-core'
import type { UnitCheck } from './unit-check.ts'

type Listed = Parameters<Protocol['judgeListed']>[0]
type Tally = Parameters<Protocol['auditListing']>[0]
type Truth = Parameters<Protocol['listingIsTruth']>[0]

const listed = (rules: Protocol, change: Partial<Listed>): string =>
  rules.judgeListed({
    listed: 5n,
    start: 8n,
    held: 5n,
    removedSince: false,
    skipped: false,
    removedAt: undefined,
    ...change,
  })

const tallied = (rules: Protocol, change: Partial<Tally>): string =>
  rules.auditListing({
    start: 8n,
    listedAt: 8n,
    entries: 3,
    matched: 3,
    wrong: 0,
    touched: 0,
    touchedAfterMatch: 0,
    ordered: true,
    ...change,
  })

const isTruth = (rules: Protocol, change: Partial<Truth>): boolean =>
  rules.listingIsTruth({
    whenEvicted: 'keep',
    evictsCurrentValues: true,
    evictsOldestFirst: true,
    firstRevision: 1n,
    evictionSeen: false,
    ...change,
  })

/** What a listing of the bucket says of a fold. */
export const LISTING_CHECKS: readonly UnitCheck[] = [
  {
    of: 'judgeListed',
    name: 'a key written after the audit began is the business of the watch, whatever is held of it',
    holds: (rules) =>
      [undefined, 5n, 9n, 10n].every((held) => listed(rules, { listed: 9n, held }) === 'pass') &&
      listed(rules, { listed: 8n, held: 5n }) === 'wrong',
  },
  {
    of: 'judgeListed',
    name: 'what the fold holds is matched, newer since the audit began, or wrong',
    holds: (rules) =>
      listed(rules, {}) === 'match' &&
      listed(rules, { listed: 8n, held: 8n }) === 'match' &&
      listed(rules, { held: 4n }) === 'wrong' &&
      listed(rules, { held: 8n }) === 'wrong' &&
      listed(rules, { held: 9n }) === 'pass',
  },
  {
    of: 'judgeListed',
    name: 'what the fold does not hold was removed meanwhile, is above its limits, or is missing',
    holds: (rules) =>
      listed(rules, { held: undefined }) === 'wrong' &&
      listed(rules, { held: undefined, removedSince: true }) === 'pass' &&
      listed(rules, { held: undefined, skipped: true }) === 'pass',
  },
  {
    of: 'judgeListed',
    name: 'a removal that stands for a skipped value stands for the listed one alone',
    holds: (rules) =>
      listed(rules, { held: undefined, skipped: true, removedAt: 5n }) === 'pass' &&
      listed(rules, { held: undefined, skipped: false, removedAt: 5n }) === 'wrong' &&
      [4n, 6n, 8n].every(
        (removedAt) => listed(rules, { held: undefined, skipped: true, removedAt }) === 'wrong',
      ),
  },
  {
    of: 'auditListing',
    name: 'a listing that is not complete at the start proves nothing, not even what it has wrong',
    holds: (rules) =>
      tallied(rules, { listedAt: undefined, wrong: 1 }) === 'wait' &&
      tallied(rules, { listedAt: 7n, wrong: 1 }) === 'wait' &&
      tallied(rules, { listedAt: 9n }) === 'equal',
  },
  {
    of: 'auditListing',
    name: 'one wrong key is enough, and all else may match',
    holds: (rules) =>
      tallied(rules, { wrong: 1 }) === 'rebuild' &&
      tallied(rules, { wrong: 2, entries: undefined }) === 'rebuild' &&
      tallied(rules, { entries: undefined, matched: 0 }) === 'equal',
  },
  {
    of: 'auditListing',
    name: 'every entry is matched, or touched before it could be',
    holds: (rules) =>
      tallied(rules, { matched: 2 }) === 'rebuild' &&
      tallied(rules, { matched: 2, touched: 1 }) === 'equal' &&
      tallied(rules, { matched: 2, touched: 1, touchedAfterMatch: 1 }) === 'rebuild' &&
      tallied(rules, { matched: 3, touched: 1, touchedAfterMatch: 1 }) === 'equal' &&
      tallied(rules, { matched: 1, touched: 3, touchedAfterMatch: 1 }) === 'equal',
  },
  {
    of: 'auditListing',
    name: 'more than there are, or touched ones in no order, prove nothing',
    holds: (rules) =>
      tallied(rules, { matched: 4 }) === 'wait' &&
      tallied(rules, { matched: 3, touched: 1 }) === 'wait' &&
      tallied(rules, { matched: 1, touched: 1, ordered: false }) === 'wait' &&
      tallied(rules, { matched: 1, touched: 0, ordered: false }) === 'rebuild' &&
      tallied(rules, { matched: 1, touched: 1 }) === 'rebuild' &&
      tallied(rules, { matched: 2, touched: 1, ordered: false }) === 'equal',
  },
  {
    of: 'listingIsTruth',
    name: 'always where the fold mirrors the bucket',
    holds: (rules) =>
      isTruth(rules, { whenEvicted: 'drop' }) &&
      isTruth(rules, { whenEvicted: 'drop', evictionSeen: true, evictsCurrentValues: undefined }),
  },
  {
    of: 'listingIsTruth',
    name: 'under keep only before anything can have been evicted, and as far as the bucket says so',
    holds: (rules) =>
      isTruth(rules, {}) &&
      isTruth(rules, { firstRevision: 0n }) &&
      !isTruth(rules, { firstRevision: 2n }) &&
      !isTruth(rules, { firstRevision: undefined }) &&
      !isTruth(rules, { evictsOldestFirst: false }) &&
      !isTruth(rules, { evictsOldestFirst: undefined }) &&
      !isTruth(rules, { evictionSeen: true }) &&
      !isTruth(rules, { evictsCurrentValues: undefined }) &&
      isTruth(rules, { evictsCurrentValues: false, firstRevision: 9n }) &&
      !isTruth(rules, { evictsCurrentValues: false, evictionSeen: true }),
  },
]
