import { packageTests } from '../../vitest.shared.ts'

export default packageTests({ slowest: ['follow-end-table', 'restore-schedules', 'follow-listing'] })
