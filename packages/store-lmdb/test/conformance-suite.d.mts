import type { StoreSuite } from '@slip/conformance'

export function lmdbSuite(how: 'batch' | 'os' | 'bulk' | 'structure'): StoreSuite
export const suite: StoreSuite
