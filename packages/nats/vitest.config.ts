import { packageTests } from '../../vitest.shared.ts'

export default packageTests({
  slowest: ['session-unanswered', 'reader', 'session-cluster', 'session-hydrate', 'session-caught-up'],
})
