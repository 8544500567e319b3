export interface Row {
  readonly id: string
  readonly what: string
  readonly ours: number
  readonly unit: string
  readonly floor?: number
  readonly floorIs?: string
  readonly peer?: number
  readonly peerIs?: string
  readonly note?: string
}

/** Prints a row: ours, then the floor and the peer of the same run as ratios. */
export function print(row: Row): void {
  const parts = [`${row.id.padEnd(4)} ${row.what.padEnd(44)} ${figure(row.ours)} ${row.unit}`.padEnd(72)]
  if (row.floor !== undefined)
    parts.push(`floor ${figure(row.floor)} (${row.floorIs ?? ''}): ${(row.ours / row.floor).toFixed(2)} x`)
  if (row.peer !== undefined)
    parts.push(
      `peer ${figure(row.peer)} (${row.peerIs ?? ''}): ${(row.peer / row.ours).toFixed(1)} times ours`,
    )
  if (row.note !== undefined) parts.push(row.note)
  process.stdout.write(`${parts.join('  |  ')}\n`)
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : value.toFixed(3)
}
