import { runStoreConformance } from '@slip/conformance'
import { describe, test } from 'vitest'
import { lmdbSuite } from './conformance-suite.mjs'

describe('a fold in LMDB, written as os says, is a store', () => {
  runStoreConformance(test, lmdbSuite('os'))
})
