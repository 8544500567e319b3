import { runSourceConformance } from '@slip/conformance'
import { describe, test } from 'vitest'
import { referenceSourceSuite } from './reference-suite.ts'

describe('the honest reference source passes every case', () => {
  runSourceConformance(test.concurrent, referenceSourceSuite())
})
