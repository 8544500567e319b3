import { packageTests } from '../../vitest.shared.ts'

/** The tests of simulations run processes that do nothing but work: two at a time. */
export default packageTests({ atATime: 2 })
