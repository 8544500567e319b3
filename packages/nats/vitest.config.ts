import { packageTests } from '../../vitest.shared.ts'

export default packageTests({
  workers: 3,
  slowest: ['session-unanswered', 'reader', 'session-cluster', 'session-hydrate', 'session-caught-up'],
})
