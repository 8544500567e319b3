import type { Protocol } from '@slip/kv-core'
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
}

const IDLE = 0
/** The fold is wanted at `first`. */
const FIRST = 1
const BETWEEN = 2
/** The fold is wanted at `second`. */
const SECOND = 3

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
  readonly second: number
  /** The bucket had no message of a key when it was first described, nor since. */
  readonly gone: readonly [number, number]
  readonly rewritten: readonly [number, number]
  readonly removals: number
  readonly missed: number
  readonly wolf: number
}

type S = State<CountFields>

/** Keys counted under writers: the bucket's number at one instant, the fold's when it gets there, and once more. */
export function countModel(options: CountOptions, rules: Protocol): Model<CountFields> {
  const { keys: count, revisions, removals = 0, rewrites } = options
  const positions = new Positions(Math.max(revisions, count))
  const keys = Array.from({ length: count }, (_, k) => k)
  const layout = new Layout<CountFields>({
    last: revisions + 1,
    bucket: [count, revisions + 1],
    known: [count, 2],
    cursor: revisions + 1,
    phase: 4,
    first: revisions + 1,
    keyCount: count + 1,
    foldCount: count + 1,
    second: revisions + 1,
    gone: [count, 2],
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
      audit: (s) => ['', `at ${s.first}`, 'between', `at ${s.first} and ${s.second}`][s.phase]!,
      counts: (s) => (s.phase === IDLE ? '' : `${s.keyCount} in the bucket, ${s.foldCount} in the fold`),
    },
  }

  function write(s: S, k: number): boolean {
    if (s.last === revisions) return false
    if (rewrites !== undefined && s.phase !== IDLE) {
      if (s.rewritten.at(k) === rewrites) return false
      s.rewritten.set(k, s.rewritten.at(k) + 1)
    }
    s.last++
    s.bucket.set(k, s.last)
    s.gone.set(k, 0)
    return true
  }

  function remove(s: S, k: number): boolean {
    if (s.bucket.at(k) === 0 || s.removals === removals) return false
    s.bucket.set(k, 0)
    s.removals++
    return true
  }

  function deliver(s: S): boolean {
    let next = -1
    for (const k of keys) {
      const revision = s.bucket.at(k)
      if (revision > s.cursor && (next < 0 || revision < s.bucket.at(next))) next = k
    }
    const to = next < 0 ? s.last : s.bucket.at(next)
    if (to === s.cursor) return false
    if (to > wanted(s)) look(s)
    s.cursor = to
    if (next >= 0) s.known.set(next, 1)
    if (to >= wanted(s)) look(s)
    return true
  }

  /** Where an audit wants to look at the fold. */
  function wanted(s: S): number {
    if (s.phase === FIRST) return s.first
    return s.phase === SECOND ? s.second : Infinity
  }

  function look(s: S): void {
    if (s.phase === FIRST) {
      s.foldCount = names(s)
      s.phase = BETWEEN
    } else judge(s, s.foldCount, names(s))
  }

  function describe(s: S): boolean {
    if (s.phase !== IDLE) return false
    see(s)
    if (s.cursor === s.last) judge(s, names(s), undefined)
    else s.phase = FIRST
    return true
  }

  function describeAgain(s: S): boolean {
    if (s.phase !== BETWEEN) return false
    if (s.cursor === s.last) {
      see(s)
      judge(s, names(s), undefined)
    } else {
      s.second = s.last
      s.phase = SECOND
    }
    return true
  }

  function see(s: S): void {
    s.first = s.last
    s.keyCount = keys.filter((k) => s.bucket.at(k) > 0).length
    for (const k of keys) s.gone.set(k, s.bucket.at(k) === 0 ? 1 : 0)
  }

  function judge(s: S, foldCount: number, laterFoldCount: number | undefined): void {
    const verdict = rules.audit({
      appliedRevision: positions.revision(s.first),
      lastRevision: positions.revision(s.first),
      keyCount: positions.revision(s.keyCount),
      foldCount: positions.revision(foldCount),
      laterFoldCount: laterFoldCount === undefined ? undefined : positions.revision(laterFoldCount),
      whenEvicted: 'drop',
      evictsCurrentValues: false,
      evictionSeen: false,
    })
    if (verdict === 'equal' && keys.some((k) => s.known.at(k) === 1 && s.gone.at(k) === 1)) s.missed = 1
    if (verdict === 'rebuild') {
      if (s.removals === 0) s.wolf = 1
      for (const k of keys) s.known.set(k, s.bucket.at(k) > 0 ? 1 : 0)
      s.cursor = s.last
    }
    for (const k of keys) {
      s.gone.set(k, 0)
      s.rewritten.set(k, 0)
    }
    for (const name of ['phase', 'first', 'second', 'keyCount', 'foldCount'] as const) s[name] = 0
  }

  function names(s: S): number {
    return keys.filter((k) => s.known.at(k) === 1).length
  }
}
