import type { PayloadRank, PrunableInput, Protocol, ReplacedForInput } from '@slip/kv-core'
import { EARLIER, LATER } from './histories.ts'
import type { UnitCheck } from './unit-check.ts'

const AGED: PrunableInput = {
  payload: { rank: 4n, incarnation: 'one' },
  pointer: { rank: 5n, incarnation: 'one' },
  isTarget: false,
  ageMs: 100,
  graceMs: 100,
}
const pruned = (
  rules: Protocol,
  payload: Partial<PayloadRank>,
  pointer: Partial<PayloadRank> = {},
): boolean =>
  rules.prunable({
    ...AGED,
    payload: { ...AGED.payload, ...payload },
    pointer: { ...AGED.pointer, ...pointer },
  })

const replaced = (rules: Protocol, change: Partial<ReplacedForInput> = {}): number =>
  rules.replacedForMs({ payload: { rank: 4n, putMs: 100 }, others: [], movedMs: 300, ...change })

/** What a node decides that removes payloads which were replaced. */
export const PRUNE_CHECKS: readonly UnitCheck[] = [
  {
    of: 'prunable',
    name: 'only what is strictly below the pointer, in its history',
    holds: (rules) =>
      [3n, 4n, 5n, 6n].every((rank) => pruned(rules, { rank }) === rank < 5n) &&
      pruned(rules, { rank: 0n, incarnation: undefined }, { incarnation: undefined }) &&
      !pruned(rules, { rank: undefined }) &&
      !pruned(rules, {}, { rank: undefined }) &&
      !pruned(rules, { incarnation: EARLIER, rank: undefined }, { incarnation: LATER }) &&
      !pruned(rules, { incarnation: EARLIER }, { incarnation: LATER, rank: undefined }),
  },
  {
    of: 'prunable',
    name: 'of another history only what is of an older one, at any rank',
    holds: (rules) =>
      [3n, 9n].every((rank) => pruned(rules, { rank, incarnation: EARLIER }, { incarnation: LATER })) &&
      [3n, 9n].every((rank) => !pruned(rules, { rank, incarnation: LATER }, { incarnation: EARLIER })) &&
      !pruned(rules, { incarnation: 'two' }) &&
      !pruned(rules, { incarnation: undefined }) &&
      !pruned(rules, {}, { incarnation: undefined }),
  },
  {
    of: 'prunable',
    name: 'neither the target nor what is younger than the grace',
    holds: (rules) =>
      rules.prunable(AGED) &&
      rules.prunable({ ...AGED, ageMs: 101 }) &&
      !rules.prunable({ ...AGED, ageMs: 99 }) &&
      !rules.prunable({ ...AGED, ageMs: Number.NaN }) &&
      !rules.prunable({ ...AGED, isTarget: true }),
  },
  {
    of: 'replacedForMs',
    name: 'by the times of objects alone: from when the next one above it was put, or the pointer was moved, to the youngest of all',
    holds: (rules) => {
      const next = { rank: 5n, putMs: 180 }
      const later = { rank: 6n, putMs: 250 }
      return (
        replaced(rules) === 0 &&
        replaced(rules, { others: [next, later] }) === 120 &&
        replaced(rules, { others: [later, next] }) === 120 &&
        replaced(rules, { others: [{ rank: 5n, putMs: 420 }] }) === 120 &&
        replaced(rules, { others: [next, { rank: 3n, putMs: 400 }] }) === 220 &&
        replaced(rules, { others: [{ rank: undefined, putMs: 400 }] }) === 100
      )
    },
  },
  {
    of: 'replacedForMs',
    name: 'what was put no earlier than what is above it, what is not above it, or has no rank, did not replace it',
    holds: (rules) =>
      [99, 100].every(
        (putMs) =>
          replaced(rules, {
            others: [
              { rank: 5n, putMs },
              { rank: 3n, putMs: 400 },
            ],
          }) === 100,
      ) &&
      replaced(rules, { others: [{ rank: 5n, putMs: 101 }] }) === 199 &&
      [3n, 4n, undefined].every((rank) => replaced(rules, { others: [{ rank, putMs: 101 }] }) === 0) &&
      replaced(rules, {
        payload: { rank: 0n, putMs: 100 },
        others: [{ rank: undefined, putMs: 101 }],
      }) === 0 &&
      replaced(rules, {
        payload: { rank: undefined, putMs: 100 },
        others: [{ rank: 5n, putMs: 101 }],
      }) === 0,
  },
  {
    of: 'replacedForMs',
    name: 'what cannot be told is no time at all: a pointer that is not listed, or was moved before the payload was put',
    holds: (rules) =>
      replaced(rules, { movedMs: undefined, others: [{ rank: 5n, putMs: 200 }] }) === 0 &&
      [99, 100].every((movedMs) => replaced(rules, { movedMs, others: [{ rank: 3n, putMs: 400 }] }) === 0) &&
      replaced(rules, { movedMs: 101, others: [{ rank: 3n, putMs: 400 }] }) === 299 &&
      Number.isNaN(replaced(rules, { others: [{ rank: 3n, putMs: Number.NaN }] })),
  },
]
