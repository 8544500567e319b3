import { storeCases } from '@slip/conformance'
import { describe, expect, test } from 'vitest'
import { brokenStores } from './broken-stores.ts'
import { failingCases } from './failing-cases.ts'
import { referenceSuite } from './reference-suite.ts'

describe('each broken store is caught by the case it names', () => {
  test.each(brokenStores)('a store that $name', async ({ caughtBy, also, spoil }) => {
    const failing = await failingCases(storeCases({ ...referenceSuite({ spoil }), seed: 1 }))
    expect(failing).toContain(caughtBy)
    if (also === 'many') return
    const named = failing.filter((id) => id !== 'model/random')
    expect(named.toSorted()).toEqual([caughtBy, ...also].toSorted())
  })
})
