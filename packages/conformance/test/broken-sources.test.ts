import { sourceCases } from '@slip/conformance'
import { describe, expect, test } from 'vitest'
import { brokenSources } from './broken-sources.ts'
import { failingCases } from './failing-cases.ts'
import { referenceSourceSuite } from './reference-suite.ts'

describe('each broken source is caught by the case it names', () => {
  test.concurrent.each(brokenSources)('a source that $name', async ({ caughtBy, spoil }) => {
    const named = sourceCases(referenceSourceSuite(spoil)).filter(({ id }) => id === caughtBy)
    expect(await failingCases(named)).toEqual([caughtBy])
  })
})
