import type { Protocol } from '@slip/kv-core'
import { Layout, type Row, type State } from '../explorer/layout.ts'
import type { Action, Model } from '../explorer/model.ts'
import { Messages } from './message.ts'
import { Positions } from './positions.ts'

export interface ListingOptions {
  readonly name: string
  readonly keys: number
  readonly revisions: number
  /** Revisions kept of a key. @default 2 */
  readonly history?: 1 | 2
  /** Whether messages can be removed without a word: the newest of a key, or all of it. @default true */
  readonly removals?: boolean
}

export type ListingFields = {
  readonly last: number
  /** The newest stored message of each key, and the one it replaced, as a bucket with history 2 keeps them. */
  readonly bucket: readonly [number, number]
  readonly older: readonly [number, number]
  readonly fold: readonly [number, number]
  readonly cursor: number
  /** 1 while keys are listed, 2 while they are judged. */
  readonly listing: number
  readonly start: number
  readonly entries: number
  readonly listedAt: number
  /** What the server has yet to list. */
  readonly pending: readonly [number, number]
  /** Listed, and judged when the fold stands at `need`. */
  readonly chunk: readonly [number, number]
  readonly need: number
  readonly position: number
  readonly matched: number
  readonly wrong: number
  readonly touched: number
  readonly touchedAfterMatch: number
  readonly removed: readonly [number, number]
  /** The fold was wrong about a key when the listing began, and nothing mended it. */
  readonly bad: readonly [number, number]
  /** Something was removed without a word since the fold was known to be right. */
  readonly silent: number
  readonly missed: number
  readonly wolf: number
}

type S = State<ListingFields>

/**
 * A fold that is compared with a listing while both the bucket and the fold go on moving, in a bucket that
 * keeps the revision before the newest one (H12).
 */
export function listingModel(options: ListingOptions, rules: Protocol): Model<ListingFields> {
  const { keys: count, revisions, removals = true, history = 2 } = options
  const messages = new Messages(revisions, 1)
  const positions = new Positions(revisions)
  const keys = Array.from({ length: count }, (_, k) => k)
  const { values } = messages
  const layout = new Layout<ListingFields>({
    last: revisions + 1,
    bucket: [count, values],
    older: [count, history > 1 ? values : 1],
    fold: [count, values],
    cursor: revisions + 1,
    listing: 3,
    start: revisions + 1,
    entries: count + 1,
    listedAt: revisions + 1,
    pending: [count, values],
    chunk: [count, values],
    need: revisions + 1,
    position: revisions + 1,
    matched: count + 1,
    wrong: count + 1,
    touched: count + 1,
    touchedAfterMatch: count + 1,
    removed: [count, 2],
    bad: [count, 2],
    silent: 2,
    missed: 2,
    wolf: 2,
  })
  const each = (name: string, step: (s: S, k: number) => boolean): Action<ListingFields>[] =>
    keys.map((k) => ({ name: `${name} k${k}`, environment: true, step: (s) => step(s, k) }))
  return {
    name: options.name,
    layout,
    actions: [
      ...each('put', (s, k) => write(s, k, false)),
      ...each('delete', (s, k) => messages.isLive(s.bucket.at(k)) && write(s, k, true)),
      ...(removals ? each('remove the newest of', uncover) : []),
      { name: 'deliver', step: deliver },
      { name: 'begin to list', environment: true, step: begin },
      { name: 'list a key', step: list },
      { name: 'all is listed', step: end },
      { name: 'judge a key', step: judge },
      { name: 'conclude', step: conclude },
    ],
    always: {
      'a listing that says equal missed nothing': (s) => s.missed === 0,
      'a listing finds nothing wrong where nothing was removed': (s) => s.wolf === 0,
    },
    sometimes: {
      'the fold is touched after a match': (s) => s.touchedAfterMatch > 0,
      'the fold is touched before the listing comes to it': (s) => s.touched > s.touchedAfterMatch,
      ...(removals
        ? {
            'an older revision was uncovered': (s: S) =>
              keys.some((k) => messages.isLive(s.bucket.at(k)) && s.bad.at(k) === 1),
            'a key is wrong': (s: S) => s.wrong > 0,
          }
        : {}),
    },
    settles: true,
    columns: {
      bucket: (s) => show(s.bucket),
      older: (s) => show(s.older),
      fold: (s) => `${show(s.fold)} @${s.cursor}`,
      listing: (s) => (s.listing === 0 ? '' : `${show(s.pending)} | ${show(s.chunk)} from ${s.start}`),
      tally: (s) =>
        s.listing === 0
          ? ''
          : `${s.matched} matched, ${s.wrong} wrong, ${s.touched} touched, ${s.touchedAfterMatch} after`,
    },
  }

  function write(s: S, k: number, marker: boolean): boolean {
    if (s.last === revisions) return false
    s.last++
    if (history > 1) s.older.set(k, s.bucket.at(k))
    s.bucket.set(k, messages.code(s.last, 0, marker))
    return true
  }

  function uncover(s: S, k: number): boolean {
    if (s.bucket.at(k) === 0) return false
    s.bucket.set(k, s.older.at(k))
    s.older.set(k, 0)
    s.silent = 1
    return true
  }

  function deliver(s: S): boolean {
    const newest = lowest(s.bucket, s.cursor)
    const older = lowest(s.older, s.cursor)
    if (newest < 0) {
      if (s.cursor === s.last) return false
      s.cursor = s.last
      return true
    }
    const replaced =
      older >= 0 && messages.revision(s.older.at(older)) < messages.revision(s.bucket.at(newest))
    const next = replaced ? older : newest
    const code = replaced ? s.older.at(older) : s.bucket.at(newest)
    if (s.listing > 0) survey(s, next, !messages.isLive(code))
    s.fold.set(next, code)
    s.cursor = messages.revision(code)
    s.bad.set(next, 0)
    return true
  }

  /** What a commit means for the listing that goes on beside it. */
  function survey(s: S, k: number, isRemoval: boolean): void {
    const before = messages.isLive(s.fold.at(k)) ? messages.revision(s.fold.at(k)) : 0
    const touches = before > 0 && before <= s.start
    const passed = touches && before <= s.position
    if (touches) s.touched++
    if (passed) s.touchedAfterMatch++
    if (isRemoval && !passed) s.removed.set(k, 1)
  }

  /** Whether the fold differs from what the bucket has, and the watch will not mend it. */
  function isWrong(s: S, k: number): boolean {
    const inBucket = s.bucket.at(k)
    if (messages.revision(inBucket) > s.start) return false
    const shown = (code: number): number => (messages.isLive(code) ? code : 0)
    return shown(inBucket) !== shown(s.fold.at(k))
  }

  function begin(s: S): boolean {
    if (s.listing > 0) return false
    s.listing = 1
    s.start = s.cursor
    s.listedAt = s.last
    for (const k of keys) {
      const inBucket = s.bucket.at(k)
      const inFold = s.fold.at(k)
      if (messages.isLive(inBucket)) s.pending.set(k, inBucket)
      if (messages.isLive(inFold)) s.entries++
      s.bad.set(k, isWrong(s, k) ? 1 : 0)
    }
    return true
  }

  /** A message that is gone by now is left out. */
  function list(s: S): boolean {
    const k = lowest(s.pending, 0)
    if (k < 0) return false
    const code = s.pending.at(k)
    s.pending.set(k, 0)
    if (code === s.bucket.at(k) || code === s.older.at(k)) s.chunk.set(k, code)
    return true
  }

  /** What was listed is judged when the fold has all that the bucket had by then. */
  function end(s: S): boolean {
    if (s.listing !== 1 || lowest(s.pending, 0) >= 0) return false
    s.listing = 2
    s.need = s.last
    return true
  }

  function judge(s: S): boolean {
    const k = lowest(s.chunk, 0)
    if (k < 0 || s.listing !== 2 || s.cursor < s.need) return false
    const listed = messages.revision(s.chunk.at(k))
    const inFold = s.fold.at(k)
    const verdict = rules.judgeListed({
      listed: positions.revision(listed),
      start: positions.revision(s.start),
      held: messages.isLive(inFold) ? positions.revision(messages.revision(inFold)) : undefined,
      removedSince: s.removed.at(k) === 1,
      skipped: false,
      removedAt: undefined,
    })
    if (verdict === 'match') s.matched++
    if (verdict === 'wrong') s.wrong++
    if (listed > s.position && listed <= s.start) s.position = listed
    s.chunk.set(k, 0)
    return true
  }

  function conclude(s: S): boolean {
    if (s.listing !== 2 || s.cursor < s.need || lowest(s.chunk, 0) >= 0) return false
    const verdict = rules.auditListing({
      start: positions.revision(s.start),
      listedAt: positions.revision(s.listedAt),
      entries: s.entries,
      matched: s.matched,
      wrong: s.wrong,
      touched: s.touched,
      touchedAfterMatch: s.touchedAfterMatch,
      ordered: true,
    })
    if (verdict === 'equal' && keys.some((k) => s.bad.at(k) === 1 && isWrong(s, k))) s.missed = 1
    if (verdict === 'rebuild') {
      if (s.silent === 0) s.wolf = 1
      for (const k of keys) s.fold.set(k, s.bucket.at(k))
      s.cursor = s.last
      s.silent = 0
    }
    for (const k of keys) {
      s.removed.set(k, 0)
      s.bad.set(k, 0)
    }
    for (const name of ['listing', 'start', 'entries', 'listedAt', 'need', 'position'] as const) s[name] = 0
    for (const name of ['matched', 'wrong', 'touched', 'touchedAfterMatch'] as const) s[name] = 0
    return true
  }

  /** The key of the oldest message above a revision; negative when there is none. */
  function lowest(row: Row, above: number): number {
    let found = -1
    let least = Infinity
    for (let k = 0; k < count; k++) {
      const revision = messages.revision(row.at(k))
      if (revision <= above || revision >= least) continue
      found = k
      least = revision
    }
    return found
  }

  function show(row: Row): string {
    return keys.map((k) => messages.show(row.at(k))).join(' ')
  }
}
