import { packageTests } from '../../vitest.shared.ts'

export default packageTests({ slowest: ['links', 'memory', 's3-objects', 'kill', 'publish-parts'] })
