import { packageTests } from '../../vitest.shared.ts'

export default packageTests({ slowest: ['conformance', 'memory-random'] })
