import { packageTests } from '../../vitest.shared.ts'

/** Some files only wait, for what never comes; each of them begins beside one that works. */
export default packageTests({
  slowest: [
    'broken-sources',
    'runners',
    'object-conformance',
    'broken-stores',
    'store-conformance',
    'guide',
    'broken-children',
  ],
  atATime: 16,
})
