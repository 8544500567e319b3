import { setTimeout as delay } from 'node:timers/promises'
import { KvError, type KvErrorCode, type WaitOptions } from '@slip/kv-core'
import { encodeS3, signedHeaders, type S3Credentials } from './s3-signature.ts'

export interface S3Options {
  readonly bucket: string
  /** Before every name, with a `/` behind it. */
  readonly prefix?: string | undefined
  /** @default `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, then Amazon's of the region */
  readonly endpoint?: string | undefined
  /** @default `AWS_REGION`, `AWS_DEFAULT_REGION`, then `us-east-1` */
  readonly region?: string | undefined
  /** Asked before each request. @default `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` */
  readonly credentials?: (() => S3Credentials | Promise<S3Credentials>) | undefined
  /** Of a part of a large object, of which four are in memory. @default 8 MiB, and at least 5 but for tests */
  readonly partBytes?: number | undefined
}

export interface S3Request extends WaitOptions {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'HEAD'
  /** undefined for the bucket itself. */
  readonly name?: string | undefined
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly payload?: Uint8Array
  /** Whether it may be sent again when its answer got lost. */
  readonly repeatable: boolean
  /** Answers that are not errors, beside 2xx. */
  readonly expected?: readonly number[]
}

const DEFAULT_TIMEOUT_MS = 30_000
const MOST_ATTEMPTS = 4
const FIRST_DELAY_MS = 100
const UNAUTHORIZED = new Set(['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken'])

/** Signed requests to one bucket, sent again where that is safe. */
export class S3Client {
  readonly #options: S3Options
  readonly #base: string
  readonly #region: string

  constructor(options: S3Options) {
    const { env } = process
    this.#options = options
    this.#region = options.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? 'us-east-1'
    const endpoint = options.endpoint ?? env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL']
    this.#base =
      endpoint === undefined
        ? `https://${options.bucket}.s3.${this.#region}.amazonaws.com`
        : `${endpoint.replace(/\/+$/, '')}/${options.bucket}`
  }

  /** The answer once its head is there. KvError says what went wrong, without any part of a credential. */
  async send(request: S3Request): Promise<Response> {
    const { signal, expected = [], repeatable } = request
    const what = `${request.method} ${request.name ?? this.#options.bucket}`
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      let failure: KvError
      try {
        const response = await this.#once(request)
        if (response.ok || expected.includes(response.status)) return response
        const code = codeOf(await response.text())
        failure = new KvError(meaningOf(response.status, code), `${what}: ${response.status} ${code}`)
        if (response.status < 500 && response.status !== 429) throw failure
        // 503 says that nothing was done; any other may have been.
        if (!repeatable && response.status !== 503 && response.status !== 429)
          throw new KvError('OutcomeUnknown', `${what}: ${response.status} ${code}`)
      } catch (error) {
        signal?.throwIfAborted()
        if (KvError.is(error)) throw error
        failure = new KvError(repeatable ? 'Unreachable' : 'OutcomeUnknown', `${what}: no answer`, {
          cause: error,
        })
        if (!repeatable) throw failure
      }
      if (attempt === MOST_ATTEMPTS) throw failure
      await delay(FIRST_DELAY_MS * 2 ** attempt * (0.5 + Math.random() / 2), undefined, { signal }).catch(
        () => signal?.throwIfAborted(),
      )
    }
  }

  async #once(request: S3Request): Promise<Response> {
    const { method, name, query = {}, headers = {}, payload, signal, timeoutMs } = request
    const path = name === undefined ? '/' : `/${name.split('/').map(encodeS3).join('/')}`
    const url = new URL(`${this.#base}${path}`)
    url.search = Object.entries(query)
      .map(([key, value]) => `${encodeS3(key)}=${encodeS3(value)}`)
      .join('&')
    const signed = signedHeaders(
      { method, url, headers, payload: payload ?? new Uint8Array(), region: this.#region, now: new Date() },
      await this.#credentials(),
    )
    // The time is for the head of the answer; who reads its body minds that.
    const slow = new AbortController()
    const timer = setTimeout(
      () => slow.abort(new Error('no answer in time')),
      timeoutMs ?? DEFAULT_TIMEOUT_MS,
    )
    try {
      return await fetch(url, {
        method,
        headers: signed,
        redirect: 'error',
        signal: signal === undefined ? slow.signal : AbortSignal.any([signal, slow.signal]),
        ...(payload === undefined ? {} : { body: payload as Uint8Array<ArrayBuffer> }),
      })
    } finally {
      clearTimeout(timer)
    }
  }

  async #credentials(): Promise<S3Credentials> {
    const { credentials } = this.#options
    if (credentials !== undefined) return credentials()
    const { env } = process
    const [accessKeyId, secretAccessKey] = [env['AWS_ACCESS_KEY_ID'], env['AWS_SECRET_ACCESS_KEY']]
    if (accessKeyId === undefined || secretAccessKey === undefined)
      throw new KvError('Unauthorized', 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set')
    return { accessKeyId, secretAccessKey, sessionToken: env['AWS_SESSION_TOKEN'] }
  }
}

function meaningOf(status: number, code: string): KvErrorCode {
  if (code === 'NoSuchBucket') return 'BucketNotFound'
  if (status === 401 || UNAUTHORIZED.has(code)) return 'Unauthorized'
  if (status === 403) return 'PermissionDenied'
  if (status === 400 || status === 501) return 'Unsupported'
  return 'Unreachable'
}

/** The code of an error in XML; empty for anything else. */
export function codeOf(xml: string): string {
  return /<Error>[\s\S]*?<Code>([A-Za-z]+)<\/Code>/.exec(xml)?.[1] ?? ''
}
