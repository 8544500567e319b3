import type { Step } from './explore.ts'

/** A trace as a table: one line for each step, and only the cells that it changed. */
export function traceTable(trace: readonly Step[]): string {
  const columns = Object.keys(trace[0]?.cells ?? {})
  const lines = [['step', 'action', ...columns]]
  for (const [index, { action, cells }] of trace.entries()) {
    const before = trace[index - 1]?.cells
    const shown = columns.map((name) => {
      const cell = String(cells[name])
      return before !== undefined && String(before[name]) === cell ? '' : cell
    })
    lines.push([String(index), action ?? '(start)', ...shown])
  }
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
