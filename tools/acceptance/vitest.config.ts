import { packageTests } from '../../vitest.shared.ts'

export default packageTests({
  slowest: [
    'fault-matrix',
    'rebuild-memory',
    'memory-matrix',
    'fleet-rounds',
    'server-faults',
    'kill-cycles',
  ],
})
