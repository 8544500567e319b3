import type { KvErrorCode } from '@slip/kv-core'

/** An answer that is no success. */
export interface S3Answer {
  readonly status: number
  /** In its XML; empty where there is none. */
  readonly code: string
}

export interface S3Failure {
  readonly meaning: KvErrorCode
  /**
   * What it calls for: `later` when nothing was done, `unknown` when it may have been; `signed` when nothing was done and another
   * signature may help: by the server's clock, for the bucket's region, with credentials that are read again.
   */
  readonly again: 'later' | 'unknown' | 'signed' | 'never'
}

const OF_CODE: Readonly<Record<string, S3Failure>> = {
  NoSuchBucket: { meaning: 'BucketNotFound', again: 'never' },
  InvalidAccessKeyId: { meaning: 'Unauthorized', again: 'signed' },
  ExpiredToken: { meaning: 'Unauthorized', again: 'signed' },
  InvalidToken: { meaning: 'Unauthorized', again: 'signed' },
  TokenRefreshRequired: { meaning: 'Unauthorized', again: 'signed' },
  RequestTimeTooSkewed: { meaning: 'Unauthorized', again: 'signed' },
  SignatureDoesNotMatch: { meaning: 'Unauthorized', again: 'never' },
  AuthorizationHeaderMalformed: { meaning: 'Unsupported', again: 'signed' },
  PermanentRedirect: { meaning: 'Unsupported', again: 'signed' },
  RequestTimeout: { meaning: 'Unreachable', again: 'later' },
  QuotaExceeded: { meaning: 'QuotaExceeded', again: 'never' },
}

/** What an error of S3 means, and whether the request may be sent again. */
export function failureOf({ status, code }: S3Answer): S3Failure {
  const known = Object.hasOwn(OF_CODE, code) ? OF_CODE[code] : undefined
  if (known !== undefined) return known
  switch (status) {
    case 301:
      return { meaning: 'Unsupported', again: 'signed' }
    // A bucket that was just made, or one that asks to slow down.
    case 307:
    case 429:
    case 503:
      return { meaning: 'Unreachable', again: 'later' }
    case 401:
      return { meaning: 'Unauthorized', again: 'never' }
    case 403:
      return { meaning: 'PermissionDenied', again: 'never' }
    case 405:
    case 501:
      return { meaning: 'Unsupported', again: 'never' }
    case 507:
      return { meaning: 'QuotaExceeded', again: 'never' }
    default:
      if (status >= 500) return { meaning: 'Unreachable', again: 'unknown' }
      return { meaning: status === 400 && code !== '' ? 'Unsupported' : 'Unreachable', again: 'never' }
  }
}

/** The code of an error in XML; empty for anything else. */
export function codeOf(xml: string): string {
  return /<Error>[\s\S]*?<Code>([A-Za-z]+)<\/Code>/.exec(xml)?.[1] ?? ''
}

/** Where the bucket is, when an answer says so; it becomes part of a host's name. */
export function regionOf(header: string | null, xml: string): string | undefined {
  const region = header ?? /<Region>([^<]*)<\/Region>/.exec(xml)?.[1]
  return region !== undefined && /^[a-z\d-]{1,64}$/.test(region) ? region : undefined
}
