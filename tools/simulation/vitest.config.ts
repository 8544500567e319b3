import { packageTests } from '../../vitest.shared.ts'

export default packageTests({ timeoutMs: 120_000 })
