import type { Protocol } from '@slip/kv-core'
import type { UnitCheck } from './unit-check.ts'

type Evidence = Parameters<Protocol['judgeHistory']>[0]
type Step = ReturnType<Protocol['judgeHistory']>
type Message = NonNullable<Evidence['at'][number]>

const anchor = (revision: number): Evidence['anchors'][number] => ({
  key: `k${revision}`,
  revision: BigInt(revision),
  timeMs: BigInt(revision * 1000),
})
const message = (revision: number, key: string = `k${revision}`): Message => ({
  key,
  revision: BigInt(revision),
  writtenAtMs: revision * 1000,
})
/** Newest first. */
const anchors = (newest: number, count: number): Evidence['anchors'] =>
  Array.from({ length: count }, (_, i) => anchor(newest - i))
const absent = (count: number): undefined[] => Array.from({ length: count }, () => undefined)

/** Two keys applied, at 8 and 9, of a fold that stands at 9. */
const EVIDENCE: Evidence = {
  anchors: anchors(9, 2),
  complete: true,
  cursor: 9n,
  historyPerKey: 1,
  at: [],
  firstAfter: [],
}

/** What is asked for, or the verdict, in a few words. */
function said(step: Step): string {
  if ('verdict' in step) return step.verdict
  if (step.ask === 'at') return `at ${step.revisions.join(' ')}`.trimEnd()
  return step.ask === 'firstAfter' ? `after ${step.revision}` : `newest ${step.keys.join(' ')}`.trimEnd()
}

const check = (name: string, cases: readonly (readonly [Partial<Evidence>, string])[]): UnitCheck => ({
  of: 'judgeHistory',
  name,
  holds: (rules) =>
    cases.every(([change, expected]) => said(rules.judgeHistory({ ...EVIDENCE, ...change })) === expected),
})

const gone = { at: absent(2), firstAfter: [undefined] }
/** The first anchor is gone, the second is there. */
const half = { at: [undefined, message(8)] }

const many: Partial<Evidence> = { anchors: anchors(30, 20), cursor: 30n }
/** The newest is there and not trusted, the other one is gone. */
const stored: Partial<Evidence> = { trusted: 8n, at: [message(9), undefined], complete: false }
/** A key was applied at 18, in a bucket that keeps five of each. */
const several: Partial<Evidence> = {
  ...half,
  anchors: [{ ...anchor(18), key: 'a' }, anchor(8)],
  cursor: 19n,
  historyPerKey: 5,
}

/** Whether a bucket has the history of a fold. */
export const HISTORY_CHECKS: readonly UnitCheck[] = [
  check('anchors are asked for newest first: one, then up to eight, then all', [
    [many, 'at 30'],
    [{ ...many, at: absent(1) }, 'at 29 28 27 26 25 24 23'],
    [{ ...many, at: absent(7) }, 'at 23'],
    [{ ...many, at: absent(8) }, 'at 22 21 20 19 18 17 16 15 14 13 12 11'],
  ]),
  check('nothing lies between an anchor at the cursor and the cursor: there is nothing more to ask', [
    [{ at: [message(9)] }, 'same'],
    [{ at: [message(9)], cursor: 10n }, 'after 9'],
  ]),
  check('those of a session that was not asked about are asked for at once, and prove nothing below', [
    [{ ...many, trusted: 26n }, 'at 30 29 28 27'],
    [{ ...many, trusted: 26n, at: absent(4) }, 'at 26 25 24 23'],
    [{ ...many, trusted: 15n }, 'at 30 29 28 27 26 25 24 23 22 21 20 19 18 17 16'],
    [{ trusted: 8n, at: [message(9)] }, 'at 8'],
    [{ trusted: 9n, at: [message(9)] }, 'same'],
    [{ trusted: 8n, at: [message(9), message(8)] }, 'after 8'],
    [{ trusted: 8n, at: [message(9), message(8)], firstAfter: [message(9)] }, 'after 9'],
    [{ trusted: 8n, at: [message(9), message(8)], firstAfter: [message(9), undefined] }, 'same'],
    [{ trusted: 8n, at: [message(9), undefined], complete: false }, 'after 7'],
    [{ ...stored, firstAfter: [message(9), undefined], newest: [undefined] }, 'unknown'],
    [{ ...stored, complete: true, firstAfter: [message(9), undefined], newest: [undefined] }, 'same'],
    [{ ...stored, firstAfter: [message(9), undefined] }, 'newest k8'],
    [{ trusted: 8n, at: [message(9), message(8, 'other')] }, 'other'],
  ]),
  check('the first that is there ends the questions, and contradicts by key or by time', [
    [{ at: [message(9)] }, 'same'],
    [{ at: [message(9, 'k8')] }, 'other'],
    [{ at: [{ ...message(9), writtenAtMs: 1 }] }, 'other'],
    [{ at: [{ ...message(9), writtenAtMs: 9000.7 }] }, 'same'],
    [half, 'after 8'],
  ]),
  check('what has to be empty begins where every applied key is known', [
    [{ at: absent(2) }, 'after 0'],
    [{ at: absent(2), complete: false }, 'after 7'],
    [{ anchors: [], complete: false }, 'unknown'],
    [{ anchors: [] }, 'after 0'],
  ]),
  check('a message in between is another history, up to the cursor itself', [
    [{ ...half, firstAfter: [message(9, 'other')] }, 'other'],
    [{ ...half, firstAfter: [message(10, 'other')] }, 'newest k9'],
    [{ ...half, firstAfter: [undefined] }, 'newest k9'],
  ]),
  check('where a key keeps several, an older revision of a newer one may be in between', [
    [{ ...several, firstAfter: [message(12, 'a')] }, 'after 12'],
    [{ ...several, firstAfter: [message(12, 'a'), undefined] }, 'newest a'],
    [{ ...several, historyPerKey: undefined, firstAfter: [message(12, 'a')] }, 'after 12'],
    [{ ...several, historyPerKey: 1, firstAfter: [message(12, 'a')] }, 'other'],
    [{ ...several, firstAfter: [message(12, 'b')] }, 'other'],
    [{ ...several, firstAfter: [message(18, 'a')] }, 'other'],
    [{ ...several, firstAfter: [message(19, 'a')] }, 'other'],
  ]),
  check('eight such leftovers are looked at, and not more', [
    [{ ...several, firstAfter: leftovers(8) }, 'after 16'],
    [{ ...several, firstAfter: leftovers(9) }, 'unknown'],
  ]),
  check('keys are asked for only when their anchors are gone', [
    [{ at: [message(9)], firstAfter: [undefined] }, 'same'],
    [gone, 'newest k9 k8'],
    [{ anchors: [], firstAfter: [undefined] }, 'same'],
  ]),
  check('a key whose newest message is older than what was applied is no key of this history', [
    [{ ...gone, newest: [undefined, message(9, 'k8')] }, 'other'],
    [{ ...gone, newest: [undefined, message(10, 'k8')] }, 'same'],
    [{ ...gone, newest: [message(4, 'k9'), undefined] }, 'other'],
    [{ ...gone, newest: [message(4, 'k9'), undefined], historyPerKey: 2 }, 'differs'],
    [{ ...gone, newest: [message(4, 'k9'), undefined], historyPerKey: undefined }, 'differs'],
  ]),
  check('without an anchor that is left, only a complete memory proves anything', [
    [{ ...gone, newest: absent(2) }, 'same'],
    [{ ...gone, newest: absent(2), complete: false }, 'unknown'],
    [{ ...half, firstAfter: [undefined], newest: absent(1), complete: false }, 'same'],
  ]),
]

function leftovers(count: number): Message[] {
  return Array.from({ length: count }, (_, i) => message(9 + i, 'a'))
}
