import assert from 'node:assert/strict'
import { KvError, SnapshotError, type KvErrorCode, type SnapshotErrorCode } from '@slip/kv-core'

/** Rejects with SnapshotError of one of `codes`. */
export async function rejectsSnapshot(
  attempt: () => Promise<unknown>,
  codes: SnapshotErrorCode | readonly SnapshotErrorCode[],
  what: string,
): Promise<SnapshotError> {
  const error = await failureOf(attempt, what)
  assert.ok(SnapshotError.is(error), `${what}: SnapshotError, not ${String(error)}`)
  assertCode(error.code, codes, what)
  return error
}

/** Throws SnapshotError of `code`, at once. */
export function throwsSnapshot(attempt: () => unknown, code: SnapshotErrorCode, what: string): void {
  try {
    attempt()
  } catch (error) {
    assert.ok(SnapshotError.is(error), `${what}: SnapshotError, not ${String(error)}`)
    assertCode(error.code, code, what)
    return
  }
  assert.fail(`${what} throws SnapshotError ${code}`)
}

/** Rejects with KvError of one of `codes`. */
export async function rejectsKv(
  attempt: () => Promise<unknown>,
  codes: KvErrorCode | readonly KvErrorCode[],
  what: string,
): Promise<KvError> {
  const error = await failureOf(attempt, what)
  assert.ok(KvError.is(error), `${what}: KvError, not ${String(error)}`)
  assertCode(error.code, codes, what)
  return error
}

export async function failureOf(attempt: () => Promise<unknown>, what: string): Promise<unknown> {
  try {
    await attempt()
  } catch (error) {
    return error
  }
  return assert.fail(`${what} is refused`)
}

function assertCode(code: string, wanted: string | readonly string[], what: string): void {
  const allowed: readonly string[] = typeof wanted === 'string' ? [wanted] : wanted
  assert.ok(allowed.includes(code), `${what}: code ${allowed.join(' or ')}, not ${code}`)
}
