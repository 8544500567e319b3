import type { AuditInput, Protocol } from '@slip/kv-core'
import { Layout, type State } from '../explorer/layout.ts'
import type { Action, Model } from '../explorer/model.ts'
import { Positions } from './positions.ts'

export interface CountOptions {
  readonly name: string
  readonly keys: number
  readonly revisions: number
  /** How often a message is removed without a word. @default 0 */
  readonly removals?: number
  /** How often a key may be written again between the beginning of an audit and its end; no bound unless given. */
  readonly rewrites?: number
  /** Whether others write outside of the scope, so that revisions that do not come say nothing. @default false */
  readonly narrow?: boolean
  /** Whether the bucket is written while its keys are counted. @default false */
  readonly slow?: boolean
  /** Whether nothing is delivered while the bucket is described. @default true */
  readonly holds?: boolean
  /** Whether the bucket's keys are counted the second time too, and not only the fold's. @default true */
  readonly countsAgain?: boolean
}

const IDLE = 0
const COUNTING = 1
/** The fold is wanted at `first`. */
const FIRST = 2
const BETWEEN = 3
const COUNTING_AGAIN = 4
/** The fold is wanted at `second`. */
const SECOND = 5

export type CountFields = {
  readonly last: number
  /** The revision of the message of each key; 0 for none. */
  readonly bucket: readonly [number, number]
  /** Whether the fold has the name of a key, deleted ones with it. */
  readonly known: readonly [number, number]
  readonly cursor: number
  readonly phase: number
  readonly first: number
  readonly keyCount: number
  readonly foldCount: number
  readonly undelivered: number
  readonly second: number
  readonly laterKeyCount: number
  readonly laterUndelivered: number
  /** The bucket had no message of a key when it was first described, nor since; and the second time. */
  readonly gone: readonly [number, number]
  readonly laterGone: readonly [number, number]
  readonly rewritten: readonly [number, number]
  readonly removals: number
  readonly missed: number
  readonly wolf: number
}

type S = State<CountFields>

const OF_AUDIT = [
  'phase',
  'first',
  'keyCount',
  'foldCount',
  'undelivered',
  'second',
  'laterKeyCount',
  'laterUndelivered',
] as const

/** Keys counted under writers: the bucket's number at one instant, the fold's when it gets there, and once more. */
export function countModel(options: CountOptions, rules: Protocol): Model<CountFields> {
  const {
    keys: count,
    revisions,
    removals = 0,
    rewrites,
    narrow,
    slow,
    holds = true,
    countsAgain = true,
  } = options
  const positions = new Positions(Math.max(2 * revisions, count))
  const keys = Array.from({ length: count }, (_, k) => k)
  const layout = new Layout<CountFields>({
    last: revisions + 1,
    bucket: [count, revisions + 1],
    known: [count, 2],
    cursor: revisions + 1,
    phase: 6,
    first: revisions + 1,
    keyCount: count + 1,
    foldCount: count + 1,
    undelivered: 2 * revisions + 1,
    second: revisions + 1,
    laterKeyCount: count + 1,
    laterUndelivered: 2 * revisions + 1,
    gone: [count, 2],
    laterGone: [count, 2],
    rewritten: [count, (rewrites ?? 0) + 1],
    removals: removals + 1,
    missed: 2,
    wolf: 2,
  })
  const each = (name: string, step: (s: S, k: number) => boolean): Action<CountFields>[] =>
    keys.map((k) => ({ name: `${name} k${k}`, environment: true, step: (s) => step(s, k) }))
  return {
    name: options.name,
    layout,
    actions: [
      ...each('write', write),
      ...(removals > 0 ? each('remove', remove) : []),
      { name: 'deliver', step: deliver },
      { name: 'describe', environment: true, step: describe },
      { name: 'answer', step: answer },
      { name: 'describe again', step: describeAgain },
    ],
    always: {
      'an audit that says equal missed no key that was removed': (s) => s.missed === 0,
      'an audit finds no difference where nothing was removed': (s) => s.wolf === 0,
    },
    sometimes: {
      'a fold is counted while it is behind': (s) => s.phase === BETWEEN && s.cursor < s.last,
      'a second count is wanted': (s) => s.phase === SECOND,
    },
    columns: {
      bucket: (s) => keys.map((k) => s.bucket.at(k) || '-').join(' '),
      fold: (s) => `${keys.map((k) => (s.known.at(k) === 1 ? 'k' : '-')).join(' ')} @${s.cursor}`,
      audit: (s) =>
        ['', 'counts', `at ${s.first}`, 'between', 'counts again', `at ${s.first} and ${s.second}`][s.phase]!,
      counts: (s) =>
        s.phase < FIRST
          ? ''
          : `${s.keyCount} in the bucket, ${s.foldCount} in the fold${s.phase < SECOND ? '' : `; ${s.laterKeyCount}`}`,
    },
  }

  function write(s: S, k: number): boolean {
    if (s.last === revisions) return false
    if (rewrites !== undefined && s.phase !== IDLE && s.bucket.at(k) > 0) {
      if (s.rewritten.at(k) === rewrites) return false
      s.rewritten.set(k, s.rewritten.at(k) + 1)
    }
    s.last++
    s.bucket.set(k, s.last)
    s.gone.set(k, 0)
    s.laterGone.set(k, 0)
    return true
  }

  function remove(s: S, k: number): boolean {
    if (s.bucket.at(k) === 0 || s.removals === removals) return false
    s.bucket.set(k, 0)
    s.removals++
    return true
  }

  function deliver(s: S): boolean {
    if (holds && (s.phase === COUNTING || s.phase === COUNTING_AGAIN)) return false
    let next = -1
    for (const k of keys) {
      const revision = s.bucket.at(k)
      if (revision > s.cursor && (next < 0 || revision < s.bucket.at(next))) next = k
    }
    const to = next < 0 ? s.last : s.bucket.at(next)
    if (to === s.cursor) return false
    if (to > wanted(s)) look(s)
    if (next >= 0 && narrow !== true) passed(s, to)
    s.cursor = to
    if (next >= 0) s.known.set(next, 1)
    if (to >= wanted(s)) look(s)
    return true
  }

  /** One fewer is missing of those that the bucket had. */
  function passed(s: S, revision: number): void {
    if (s.phase < BETWEEN && revision <= s.first && s.undelivered > 0) s.undelivered--
    else if (s.phase > BETWEEN && revision <= s.second && s.laterUndelivered > 0) s.laterUndelivered--
  }

  /** Where an audit wants to look at the fold. */
  function wanted(s: S): number {
    if (s.phase === FIRST) return s.first
    return s.phase === SECOND ? s.second : Infinity
  }

  function look(s: S): void {
    const foldCount = names(s)
    if (s.phase === FIRST) {
      s.foldCount = foldCount
      const alone = audited(s.keyCount, foldCount, s.undelivered)
      if (alone === 'wait') s.phase = BETWEEN
      else conclude(s, alone, s.gone)
      return
    }
    const laterKeyCount = countsAgain ? s.laterKeyCount : foldCount
    const alone = countsAgain ? audited(laterKeyCount, foldCount, s.laterUndelivered) : 'wait'
    if (alone !== 'wait') conclude(s, alone, s.laterGone)
    else {
      const later = { keyCount: positions.revision(laterKeyCount), foldCount: positions.revision(foldCount) }
      conclude(s, audited(s.keyCount, s.foldCount, s.undelivered, later), s.gone)
    }
  }

  function describe(s: S): boolean {
    if (s.phase !== IDLE) return false
    s.first = s.last
    s.undelivered = s.last - s.cursor
    s.phase = COUNTING
    asked(s)
    return true
  }

  function describeAgain(s: S): boolean {
    if (s.phase !== BETWEEN) return false
    s.second = s.last
    s.laterUndelivered = s.last - s.cursor
    s.phase = COUNTING_AGAIN
    asked(s)
    return true
  }

  function asked(s: S): void {
    if (slow === true) return
    countKeys(s)
    if (holds) answer(s)
  }

  function answer(s: S): boolean {
    if (s.phase !== COUNTING && s.phase !== COUNTING_AGAIN) return false
    if (slow === true) countKeys(s)
    s.phase = s.phase === COUNTING ? FIRST : SECOND
    if (s.cursor >= wanted(s)) look(s)
    return true
  }

  function countKeys(s: S): void {
    const inBucket = keys.filter((k) => s.bucket.at(k) > 0).length
    const gone = s.phase === COUNTING ? s.gone : s.laterGone
    for (const k of keys) gone.set(k, s.bucket.at(k) === 0 ? 1 : 0)
    if (s.phase === COUNTING) {
      s.keyCount = inBucket
      s.undelivered += s.last - s.first
    } else {
      s.laterKeyCount = inBucket
      s.laterUndelivered += s.last - s.second
    }
  }

  function audited(
    keyCount: number,
    foldCount: number,
    undelivered: number,
    later?: AuditInput['later'],
  ): ReturnType<Protocol['audit']> {
    return rules.audit({
      appliedRevision: 1n,
      lastRevision: 1n,
      keyCount: positions.revision(keyCount),
      foldCount: positions.revision(foldCount),
      undelivered: positions.revision(undelivered),
      later,
      whenEvicted: 'drop',
      evictsCurrentValues: false,
      evictionSeen: false,
    })
  }

  function conclude(s: S, verdict: ReturnType<Protocol['audit']>, gone: S['gone']): void {
    if (verdict === 'equal' && keys.some((k) => s.known.at(k) === 1 && gone.at(k) === 1)) s.missed = 1
    if (verdict === 'rebuild') {
      if (s.removals === 0) s.wolf = 1
      for (const k of keys) s.known.set(k, s.bucket.at(k) > 0 ? 1 : 0)
      s.cursor = s.last
    }
    for (const k of keys) {
      s.gone.set(k, 0)
      s.laterGone.set(k, 0)
      s.rewritten.set(k, 0)
    }
    for (const name of OF_AUDIT) s[name] = 0
  }

  function names(s: S): number {
    return keys.filter((k) => s.known.at(k) === 1).length
  }
}
