import { packageTests } from '../../vitest.shared.ts'

export default packageTests({
  slowest: ['follow', 'follow-publish', 'bucket', 'fold', 'connecting'],
  atATime: 8,
})
