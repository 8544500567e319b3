import { ARTIFACT_CHECKS } from './artifact-checks.ts'
import { ATTACH_CHECKS } from './attach-checks.ts'
import { EVICTION_CHECKS } from './eviction-checks.ts'
import { FLUSH_CHECKS } from './flush-checks.ts'
import { FORWARD_CHECKS } from './forward-checks.ts'
import { HISTORY_CHECKS } from './history-checks.ts'
import { LISTING_CHECKS } from './listing-checks.ts'
import { NEWEST_CHECKS } from './newest-checks.ts'
import { PART_CHECKS } from './part-checks.ts'
import { POSITION_CHECKS } from './position-checks.ts'
import { PRUNE_CHECKS } from './prune-checks.ts'
import { PUBLISHED_CHECKS } from './published-checks.ts'
import { REPAIR_CHECKS } from './repair-checks.ts'
import { RESTORE_CHECKS } from './restore-checks.ts'
import { ROUND_CHECKS } from './round-checks.ts'
import type { UnitCheck } from './unit-check.ts'

/** What models do not reach: numbers at the ends of their range, and what a source leaves out. */
export const UNIT_CHECKS: readonly UnitCheck[] = [
  ...ATTACH_CHECKS,
  ...REPAIR_CHECKS,
  ...RESTORE_CHECKS,
  ...FORWARD_CHECKS,
  ...HISTORY_CHECKS,
  ...LISTING_CHECKS,
  ...EVICTION_CHECKS,
  ...POSITION_CHECKS,
  ...FLUSH_CHECKS,
  ...ARTIFACT_CHECKS,
  ...ROUND_CHECKS,
  ...PRUNE_CHECKS,
  ...PUBLISHED_CHECKS,
  ...PART_CHECKS,
  ...NEWEST_CHECKS,
]
