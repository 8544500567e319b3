import type { VersionToken } from './token.ts'

/**
 * Orders two versions of one engine: negative, 0 or positive. undefined when their lengths differ,
 * which versions of one engine do not, or when one is unknown.
 */
export function compareTokens(a: VersionToken, b: VersionToken): number | undefined {
  if (a.byteLength !== b.byteLength || a.isUnknown) return undefined
  return Buffer.compare(a.toBytes(), b.toBytes())
}
