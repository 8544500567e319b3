import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { runStoreConformance } from '@slip/conformance'
import { afterAll, describe, test } from 'vitest'
import { compileTests } from './compile.ts'
import { faultyReference, referenceSuite } from './reference-suite.ts'

const compiled = await compileTests('store-conformance')
const childModule = pathToFileURL(join(compiled.directory, 'reference-store.js'))
const readerModule = pathToFileURL(join(compiled.directory, 'reference-reader.js'))

afterAll(() => compiled.remove())

describe('the honest reference store passes every case', () => {
  runStoreConformance(test, {
    ...referenceSuite({ childModule }),
    damage: { detects: 'all' },
    readerModule,
    outsideFaults: true,
    createFaulty: faultyReference(),
  })
})
