import { packageTests } from '../../vitest.shared.ts'

export default packageTests({
  slowest: ['broken-sources', 'object-conformance', 'broken-stores', 'store-conformance', 'guide'],
  atATime: 16,
})
