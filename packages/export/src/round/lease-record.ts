/** The value of a lease's key, as the Rust system writes it. Times are Unix seconds, up to 2^64-1. */
export interface LeaseRecord {
  readonly holderId: string
  readonly acquiredAtUnix: bigint
  readonly expiresAtUnix: bigint
  readonly completedCursorHex?: string
  readonly completedAtUnix?: bigint
}

const MOST_SECONDS = 0xffff_ffff_ffff_ffffn
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g

/** Compact JSON in the fixed order; what is not set is left out. */
export function encodeLeaseRecord(record: LeaseRecord): string {
  const { holderId, acquiredAtUnix, expiresAtUnix, completedCursorHex, completedAtUnix } = record
  const fields = [
    `"holder_id":${JSON.stringify(holderId)}`,
    `"acquired_at_unix":${acquiredAtUnix}`,
    `"expires_at_unix":${expiresAtUnix}`,
  ]
  if (completedCursorHex !== undefined)
    fields.push(`"completed_cursor_hex":${JSON.stringify(completedCursorHex)}`)
  if (completedAtUnix !== undefined) fields.push(`"completed_at_unix":${completedAtUnix}`)
  return `{${fields.join()}}`
}

/** A record in any order, with fields it does not know; undefined for anything else, which is no lease. */
export function decodeLeaseRecord(bytes: Uint8Array): LeaseRecord | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    const value = JSON.parse(text) as Record<string, unknown> | null
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    // The same with the digits of its numbers, which a number would round.
    const exact = JSON.parse(
      text.replace(STRING_OR_NUMBER, (each) => (each.startsWith('"') ? each : `"${each}"`)),
    ) as Record<string, unknown>
    const seconds = (name: string): bigint => {
      const digits = exact[name]
      if (typeof value[name] !== 'number' || typeof digits !== 'string' || !/^\d{1,20}$/.test(digits))
        throw new SyntaxError(name)
      const read = BigInt(digits)
      if (read > MOST_SECONDS) throw new SyntaxError(name)
      return read
    }
    const { holder_id: holderId, completed_cursor_hex: hex, completed_at_unix: completedAt } = value
    if (typeof holderId !== 'string' || (typeof hex !== 'string' && (hex ?? undefined) !== undefined))
      return undefined
    return {
      holderId,
      acquiredAtUnix: seconds('acquired_at_unix'),
      expiresAtUnix: seconds('expires_at_unix'),
      ...(typeof hex === 'string' ? { completedCursorHex: hex } : {}),
      ...(completedAt === undefined || completedAt === null
        ? {}
        : { completedAtUnix: seconds('completed_at_unix') }),
    }
  } catch {
    return undefined
  }
}
