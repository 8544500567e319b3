import { packageTests } from '../../vitest.shared.ts'

export default packageTests({ slowest: ['mutants', 'models', 'replay-artifacts'] })
