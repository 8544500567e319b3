import { objectStoreCases, runObjectStoreConformance } from '@slip/conformance'
import { describe, expect, test } from 'vitest'
import { brokenObjects, referenceObjectSuite, withoutConditions } from './broken-objects.ts'
import { failingCases } from './failing-cases.ts'

describe('the honest reference passes every case', () => {
  runObjectStoreConformance(test, referenceObjectSuite())
})

describe('so does one that states that it has no conditions', () => {
  runObjectStoreConformance(
    test,
    referenceObjectSuite(withoutConditions, { createOnly: false, compareAndSwap: false, rangeReads: true }),
  )
})

describe('each broken transport is caught by the case it names', () => {
  test.concurrent.each(brokenObjects)('one that $name', async ({ caughtBy, spoil }) => {
    const capabilities =
      caughtBy === 'conditions/etag-unsupported'
        ? { createOnly: false, compareAndSwap: false, rangeReads: true }
        : undefined
    const named = objectStoreCases(referenceObjectSuite(spoil, capabilities)).filter(
      ({ id }) => id === caughtBy,
    )
    expect(await failingCases(named)).toEqual([caughtBy])
  })
})

test('every case has a transport that it catches, but for those that a reference cannot break', () => {
  const caught = new Set(brokenObjects.map(({ caughtBy }) => caughtBy))
  const uncaught = objectStoreCases(referenceObjectSuite())
    .map(({ id }) => id)
    .filter((id) => !caught.has(id))
  expect(uncaught).toEqual(['conditions/absent-unsupported', 'conditions/stated', 'whole/empty-pieces'])
})
