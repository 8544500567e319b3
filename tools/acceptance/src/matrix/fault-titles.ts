import type { FaultId } from './cell.ts'
import { API_FAULTS } from './faults.ts'
import { ROLLBACKS } from './rollback-group.ts'

const TITLES: Readonly<Record<FaultId, { readonly title: string }>> = { ...API_FAULTS, ...ROLLBACKS }

export function faultTitle(fault: FaultId): string {
  return TITLES[fault].title
}
