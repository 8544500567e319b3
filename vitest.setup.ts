import { expect } from 'vitest'

interface Comparable {
  equals(other: unknown): boolean
}

const isComparable = (value: unknown): value is Comparable =>
  typeof value === 'object' && value !== null && 'equals' in value && typeof value.equals === 'function'

// What keeps its state to itself, as a version token does, looks like any other of its class.
expect.addEqualityTesters([
  (a: unknown, b: unknown): boolean | undefined =>
    isComparable(a) && isComparable(b) && a.constructor === b.constructor ? a.equals(b) : undefined,
])
