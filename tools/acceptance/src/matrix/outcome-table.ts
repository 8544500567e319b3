import { FAULTS, STATES, type Cell, type FaultId, type FollowerState, type StoreName } from './cell.ts'
import type { Observation } from './cell-run.ts'
import type { Expectation } from './expectation.ts'
import { faultTitle } from './fault-titles.ts'

/** How a cell ended, in one word for the table. */
export type CellEnd = Expectation['ends']

export interface CellOutcome {
  readonly cell: Cell
  readonly end: CellEnd
  readonly seen: Observation | undefined
}

/** The cells of one server version and store as text: a summary, and a line for each fault and state. */
export function outcomeTable(
  serverVersion: string,
  store: StoreName,
  outcomes: readonly CellOutcome[],
): string {
  const summary = `fault matrix on nats-server ${serverVersion}, folds in the ${store}: ${outcomes.length} cells: ${tally(outcomes)}; ${times(outcomes)}`
  const rows = FAULTS.flatMap((fault) => rowsOf(fault, outcomes))
  return [summary, ...rows].join('\n')
}

function rowsOf(fault: FaultId, outcomes: readonly CellOutcome[]): string[] {
  const own = outcomes.filter(({ cell }) => cell.fault === fault)
  if (own.length === 0) return []
  const states = STATES.filter((state) => own.some(({ cell }) => cell.state === state))
  return [`  ${fault.padEnd(3)} ${faultTitle(fault)}`, ...states.map((state) => rowOf(state, own))]
}

function rowOf(state: FollowerState, outcomes: readonly CellOutcome[]): string {
  const own = outcomes.filter(({ cell }) => cell.state === state)
  const reasons = [...new Set(own.flatMap(({ seen }) => seen?.repairs ?? []))].join(', ')
  return `      ${state.padEnd(10)} ${tally(own)}${reasons === '' ? '' : ` (${reasons})`}; ${times(own)}`
}

function tally(outcomes: readonly CellOutcome[]): string {
  const counts = new Map<CellEnd, number>()
  for (const { end } of outcomes) counts.set(end, (counts.get(end) ?? 0) + 1)
  return [...counts].map(([end, count]) => `${count} ${end}`).join(', ')
}

function times(outcomes: readonly CellOutcome[]): string {
  const right = outcomes.flatMap(({ seen }) => (seen?.rightMs === undefined ? [] : [seen.rightMs]))
  if (right.length === 0) return 'none right'
  const sorted = right.sort((a, b) => a - b)
  const at = (share: number): string => sorted[Math.floor((sorted.length - 1) * share)]!.toFixed(0)
  return `right after ${at(0.5)} ms (median), ${at(1)} ms at most`
}
