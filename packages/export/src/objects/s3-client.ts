import { setTimeout as delay } from 'node:timers/promises'
import { KvError, type WaitOptions } from '@slip/kv-core'
import { codeOf, failureOf } from './s3-failure.ts'
import { encodeS3, type S3Credentials } from './s3-signature.ts'
import { S3Signing } from './s3-signing.ts'

export interface S3Options {
  readonly bucket: string
  /** Before every name, with a `/` behind it. */
  readonly prefix?: string | undefined
  /** @default `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, then Amazon's of the region */
  readonly endpoint?: string | undefined
  /** @default `AWS_REGION`, `AWS_DEFAULT_REGION`, then `us-east-1`, until the store says where the bucket is */
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
const MOST_ATTEMPTS = 5
const FIRST_DELAY_MS = 100
/** Above it a payload is given as the link takes it. */
const MOST_AT_ONCE_BYTES = 256 * 1024
const PIECE_BYTES = 64 * 1024

/** Signed requests to one bucket, sent again where that is safe. */
export class S3Client {
  readonly #bucket: string
  readonly #signing: S3Signing

  constructor(options: S3Options) {
    this.#bucket = options.bucket
    this.#signing = new S3Signing(options)
  }

  /**
   * The answer once its head is there. `timeoutMs` is how long nothing of the payload is taken, and then how long no answer comes.
   * KvError says what went wrong, without any part of a credential.
   */
  async send(request: S3Request): Promise<Response> {
    const { signal, expected = [], repeatable } = request
    const what = `${request.method} ${request.name ?? this.#bucket}`
    let signedAgain = false
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      let failure: KvError
      try {
        const response = await this.#once(request)
        if (response.ok || expected.includes(response.status)) return response
        const xml = await response.text()
        const code = codeOf(xml)
        const { meaning, again } = failureOf({ status: response.status, code })
        failure = new KvError(meaning, `${what}: ${response.status} ${code}`)
        if (again === 'signed') {
          const { learned, why } = await this.#signing.learn(response, xml)
          if (!learned || signedAgain) throw new KvError(meaning, `${failure.message}: ${why}`)
          signedAgain = true
          continue
        }
        if (again === 'never') throw failure
        if (again === 'unknown' && !repeatable) throw new KvError('OutcomeUnknown', failure.message)
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
    const { method, name, query = {}, headers = {}, payload = new Uint8Array(), signal, timeoutMs } = request
    const path = name === undefined ? '/' : `/${name.split('/').map(encodeS3).join('/')}`
    const url = new URL(`${this.#signing.base}${path}`)
    url.search = Object.entries(query)
      .map(([key, value]) => `${encodeS3(key)}=${encodeS3(value)}`)
      .join('&')
    const signed = await this.#signing.sign({ method, url, headers, payload })
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
        redirect: 'manual',
        signal: signal === undefined ? slow.signal : AbortSignal.any([signal, slow.signal]),
        ...(request.payload === undefined ? {} : payloadInit(payload, signed, () => timer.refresh())),
      })
    } finally {
      clearTimeout(timer)
    }
  }
}

/** A payload for `fetch`; of a large one it says when the link takes more. */
function payloadInit(
  payload: Uint8Array,
  headers: Readonly<Record<string, string>>,
  onTaken: () => void,
): RequestInit & { readonly duplex?: 'half' } {
  if (payload.length <= MOST_AT_ONCE_BYTES) return { body: payload as Uint8Array<ArrayBuffer> }
  let at = 0
  const body = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        onTaken()
        controller.enqueue(payload.subarray(at, (at += PIECE_BYTES)))
        if (at >= payload.length) controller.close()
      },
    },
    { highWaterMark: 0 },
  )
  return { body, duplex: 'half', headers: { ...headers, 'content-length': String(payload.length) } }
}
