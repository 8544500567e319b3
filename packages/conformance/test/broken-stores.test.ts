import { storeCases } from '@slip/conformance'
import { describe, expect, test } from 'vitest'
import { brokenDetails } from './broken-details.ts'
import { brokenStores } from './broken-stores.ts'
import { failingCases } from './failing-cases.ts'
import { referenceSuite } from './reference-suite.ts'

describe('each broken store is caught by the case it names', () => {
  test.each(brokenStores)('a store that $name', async ({ caughtBy, also, spoil }) => {
    const cases = storeCases({ ...referenceSuite({ spoil }), seed: 1 })
    const failing = await failingCases(
      cases.filter(({ id }) => id === caughtBy || (also !== 'many' && id !== 'model/random')),
    )
    expect(failing.toSorted()).toEqual([caughtBy, ...(also === 'many' ? [] : also)].toSorted())
  })
})

describe('each store that is wrong in a detail is caught by the case it names', () => {
  test.each(brokenDetails)('a store that $name', async ({ caughtBy, says, spoil }) => {
    const suite = referenceSuite(spoil === undefined ? {} : { spoil })
    const named = storeCases({ ...suite, features: { ...suite.features, ...says } }).filter(
      ({ id }) => id === caughtBy,
    )
    expect(await failingCases(named)).toEqual([caughtBy])
  })
})
