import { storeCases } from '@slip/conformance'
import { describe, test } from 'vitest'
import { lmdbSuite } from './conformance-suite.mjs'

describe('a fold in LMDB whose structure is checked when it is opened can be read, whatever was damaged', () => {
  for (const each of storeCases(lmdbSuite('structure')))
    if (each.id.startsWith('damage/')) test(`${each.id}: ${each.title}`, async () => each.run())
})
