import { protocol, type ListedInput, type ListingTallyInput } from '@slip/kv-core'
import { describe, expect, test } from 'vitest'

describe('judgeListed', () => {
  const judged = (change: Partial<ListedInput>): string =>
    protocol.judgeListed({
      listed: 4n,
      start: 9n,
      held: 4n,
      removedSince: false,
      skipped: false,
      removedAt: undefined,
      ...change,
    })

  test('a key at the revision the fold has is a match; at any other that is no newer, wrong', () => {
    expect(judged({})).toBe('match')
    for (const held of [1n, 3n, 5n, 9n]) expect(judged({ held })).toBe('wrong')
  })

  test('what was written after the audit began is for the watch', () => {
    expect(judged({ held: 10n })).toBe('pass')
    for (const held of [undefined, 4n, 10n, 12n]) expect(judged({ listed: 10n, held })).toBe('pass')
  })

  test('a key the fold does not have is wrong, unless it was removed meanwhile or is above a limit', () => {
    expect(judged({ held: undefined })).toBe('wrong')
    expect(judged({ held: undefined, removedSince: true })).toBe('pass')
    expect(judged({ held: undefined, skipped: true })).toBe('pass')
  })

  test('a value that was skipped excuses no other revision of its key', () => {
    expect(judged({ held: undefined, skipped: true, removedAt: 4n })).toBe('pass')
    for (const removedAt of [3n, 5n, 9n])
      expect(judged({ held: undefined, skipped: true, removedAt })).toBe('wrong')
    expect(judged({ held: undefined, removedAt: 4n })).toBe('wrong')
  })
})

describe('auditListing', () => {
  const tally: ListingTallyInput = {
    start: 9n,
    listedAt: 9n,
    entries: 5,
    matched: 5,
    wrong: 0,
    touched: 0,
    touchedAfterMatch: 0,
    ordered: true,
  }
  const verdict = (change: Partial<ListingTallyInput>): string =>
    protocol.auditListing({ ...tally, ...change })

  test('each entry is matched or touched, or the fold is wrong', () => {
    expect(verdict({})).toBe('equal')
    expect(verdict({ matched: 4 })).toBe('rebuild')
    expect(verdict({ matched: 4, touched: 1 })).toBe('equal')
    expect(verdict({ matched: 5, touched: 1, touchedAfterMatch: 1 })).toBe('equal')
    expect(verdict({ matched: 3, touched: 1 })).toBe('rebuild')
    expect(verdict({ wrong: 1 })).toBe('rebuild')
  })

  test('a listing from before the audit began, or of no known revision, proves nothing', () => {
    expect(verdict({ listedAt: 8n, wrong: 3 })).toBe('wait')
    expect(verdict({ listedAt: undefined, matched: 0 })).toBe('wait')
    expect(verdict({ listedAt: 20n })).toBe('equal')
  })

  test('without the order it cannot be told which touched entries were matched before', () => {
    expect(verdict({ matched: 4, touched: 1, touchedAfterMatch: 1, ordered: false })).toBe('wait')
    expect(verdict({ matched: 4, ordered: false })).toBe('rebuild')
    expect(verdict({ matched: 5, touched: 1 })).toBe('wait')
  })

  test('where entries cannot be counted only the listed keys speak', () => {
    expect(verdict({ entries: undefined, matched: 1 })).toBe('equal')
    expect(verdict({ entries: undefined, wrong: 1 })).toBe('rebuild')
  })
})

describe('listingIsTruth', () => {
  const truth = (change: Partial<Parameters<typeof protocol.listingIsTruth>[0]>): boolean =>
    protocol.listingIsTruth({
      whenEvicted: 'keep',
      evictsCurrentValues: false,
      evictsOldestFirst: true,
      firstRevision: 40n,
      evictionSeen: false,
      ...change,
    })

  test('always for a mirror', () => {
    for (const evictsCurrentValues of [true, false, undefined])
      for (const evictionSeen of [true, false])
        expect(truth({ whenEvicted: 'drop', evictsCurrentValues, evictionSeen })).toBe(true)
  })

  test('for a replica of record only where nothing was ever evicted', () => {
    expect(truth({})).toBe(true)
    expect(truth({ evictionSeen: true })).toBe(false)
    expect(truth({ evictsCurrentValues: undefined })).toBe(false)
    expect(truth({ evictsCurrentValues: undefined, firstRevision: 1n })).toBe(false)
    expect(truth({ evictsCurrentValues: true })).toBe(false)
    expect(truth({ evictsCurrentValues: true, firstRevision: 2n })).toBe(false)
    expect(truth({ evictsCurrentValues: true, firstRevision: 1n })).toBe(true)
    expect(truth({ evictsCurrentValues: true, firstRevision: undefined })).toBe(false)
    const evicting = { evictsCurrentValues: true, firstRevision: 1n }
    expect(truth({ ...evicting, evictsOldestFirst: false })).toBe(false)
    expect(truth({ ...evicting, evictsOldestFirst: undefined })).toBe(false)
  })
})
