import {
  KvError,
  type ListedObject,
  type ObjectCondition,
  type ObjectGetOptions,
  type ObjectPutOptions,
  type ObjectStore,
  type StoredObject,
  type WaitOptions,
} from '@slip/kv-core'
import { BodyFailed, bodyOf, bodyOfBytes, orAborted, piecesOf } from './object-body.ts'
import { mustBeNamePrefix, mustBeObjectName } from './object-name.ts'
import { S3Client, type S3Options } from './s3-client.ts'
import { codeOf } from './s3-failure.ts'
import { S3Upload } from './s3-upload.ts'

const DEFAULT_PART_BYTES = 8 * 1024 * 1024
const MOST_CONFLICTS = 8

/**
 * Objects in a bucket of S3, or of what speaks like it. Conditions are `If-None-Match` and `If-Match`, of a large
 * object on completing its parts; a store that ignores them is found by `probeObjectStore`, and refused for
 * pointers. KvError; what was sent and not answered is `OutcomeUnknown` where it had a condition.
 */
export function s3Objects(options: S3Options): ObjectStore {
  return new S3Objects(options)
}

class S3Objects implements ObjectStore {
  readonly capabilities = { createOnly: true, compareAndSwap: true, rangeReads: true } as const
  readonly #client: S3Client
  readonly #prefix: string
  readonly #partBytes: number

  constructor(options: S3Options) {
    this.#client = new S3Client(options)
    const prefix = (options.prefix ?? '').replaceAll(/^\/+|\/+$/g, '')
    this.#prefix = prefix === '' ? '' : `${prefix}/`
    this.#partBytes = options.partBytes ?? DEFAULT_PART_BYTES
  }

  async get(name: string, options: ObjectGetOptions = {}): Promise<StoredObject | undefined> {
    const { signal, timeoutMs, range } = options
    signal?.throwIfAborted()
    const key = this.#keyOf(name)
    if (range?.length === 0) return this.#head(key, options)
    const response = await this.#client.send({
      method: 'GET',
      name: key,
      headers: range === undefined ? {} : { range: `bytes=${range.start}-${range.start + range.length - 1}` },
      repeatable: true,
      expected: [404, 416],
      signal,
      timeoutMs,
    })
    if (response.status === 404) return absent(response, key)
    if (response.status === 416) {
      await response.body?.cancel()
      return this.#head(key, options)
    }
    const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]
    const size = Number(total ?? response.headers.get('content-length'))
    if (range !== undefined && response.status !== 206) {
      await response.body?.cancel()
      throw new KvError('Unsupported', `${key}: the store has no range reads`)
    }
    return { body: bodyOfResponse(response, key, signal), size, etag: etagOf(response) }
  }

  async put(
    name: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options: ObjectPutOptions = {},
  ): Promise<{ readonly etag: string } | 'conflict'> {
    const { signal, timeoutMs, condition } = options
    signal?.throwIfAborted()
    const key = this.#keyOf(name)
    const upload = new S3Upload(this.#client, key, { signal, timeoutMs })
    try {
      let part = new Uint8Array(this.#partBytes)
      let filled = 0
      for await (const piece of piecesOf(body, signal))
        for (let at = 0; at < piece.length;) {
          if (filled === part.length) {
            await upload.part(part)
            part = new Uint8Array(this.#partBytes)
            filled = 0
          }
          const taken = piece.subarray(at, at + part.length - filled)
          part.set(taken, filled)
          filled += taken.length
          at += taken.length
        }
      const rest = part.subarray(0, filled)
      if (!upload.begun) return await this.#putWhole(key, rest, condition, { signal, timeoutMs })
      await upload.part(rest)
      const etag = await upload.complete(conditionHeaders(condition))
      if (etag !== 'busy') return etag === 'conflict' ? etag : { etag }
      // Its parts would have to be sent again.
      const now = await this.#head(key, { signal, timeoutMs })
      if (condition === 'absent' ? now !== undefined : now?.etag !== condition?.etag) return 'conflict'
      throw new KvError('Unreachable', `PUT ${key}: others write it at the same time`)
    } catch (error) {
      await upload.abandon()
      throw error instanceof BodyFailed ? error.error : error
    }
  }

  async *list(
    ...[prefix, { signal, timeoutMs } = {}]: Parameters<ObjectStore['list']>
  ): AsyncGenerator<ListedObject, void, undefined> {
    signal?.throwIfAborted()
    mustBeNamePrefix(prefix)
    let token: string | undefined
    do {
      const response = await this.#client.send({
        method: 'GET',
        query: {
          'list-type': '2',
          'encoding-type': 'url',
          prefix: this.#prefix + prefix,
          ...(token === undefined ? {} : { 'continuation-token': token }),
        },
        repeatable: true,
        signal,
        timeoutMs,
      })
      const xml = await response.text()
      for (const [, entry] of xml.matchAll(/<Contents>([\s\S]*?)<\/Contents>/g)) {
        const name = decodeURIComponent(field(entry!, 'Key').replaceAll('+', '%20'))
        yield {
          name: name.slice(this.#prefix.length),
          size: Number(field(entry!, 'Size')),
          modifiedMs: Date.parse(field(entry!, 'LastModified')),
        }
      }
      token = field(xml, 'IsTruncated') === 'true' ? field(xml, 'NextContinuationToken') : undefined
    } while (token !== undefined && token !== '')
  }

  async delete(name: string, { signal, timeoutMs }: WaitOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const key = this.#keyOf(name)
    const response = await this.#client.send({
      method: 'DELETE',
      name: key,
      repeatable: true,
      expected: [404],
      signal,
      timeoutMs,
    })
    if (response.status === 404) await absent(response, key)
    else await response.body?.cancel()
  }

  #keyOf(name: string): string {
    mustBeObjectName(name)
    return this.#prefix + name
  }

  async #putWhole(
    key: string,
    payload: Uint8Array,
    condition: ObjectCondition | undefined,
    wait: WaitOptions,
  ): Promise<{ readonly etag: string } | 'conflict'> {
    for (let attempt = 1; ; attempt++) {
      const response = await this.#client.send({
        method: 'PUT',
        name: key,
        headers: conditionHeaders(condition),
        payload,
        repeatable: condition === undefined,
        expected: condition === undefined ? [409] : [404, 409, 412],
        ...wait,
      })
      if (response.ok) {
        await response.body?.cancel()
        return { etag: etagOf(response) }
      }
      if (response.status === 404) await absent(response, key)
      else await response.body?.cancel()
      if (response.status !== 409) return 'conflict'
      // Somebody writes it at this moment; whether the condition holds shows behind that.
      if (attempt === MOST_CONFLICTS)
        throw new KvError('Unreachable', `PUT ${key}: others write it at the same time`)
      await orAborted(new Promise((resolve) => setTimeout(resolve, 20 * attempt)), wait.signal)
    }
  }

  /** An object without a byte of it. */
  async #head(key: string, { signal, timeoutMs }: WaitOptions): Promise<StoredObject | undefined> {
    const response = await this.#client.send({
      method: 'HEAD',
      name: key,
      repeatable: true,
      expected: [404],
      signal,
      timeoutMs,
    })
    if (response.status === 404) return undefined
    return {
      body: bodyOfBytes(new Uint8Array(), signal),
      size: Number(response.headers.get('content-length')),
      etag: etagOf(response),
    }
  }
}

function conditionHeaders(condition: ObjectCondition | undefined): Record<string, string> {
  if (condition === undefined) return {}
  return condition === 'absent' ? { 'if-none-match': '*' } : { 'if-match': condition.etag }
}

function etagOf(response: Response): string {
  return response.headers.get('etag') ?? ''
}

/** A bucket that is not there is no answer about an object. */
async function absent(response: Response, key: string): Promise<undefined> {
  if (codeOf(await response.text()) === 'NoSuchBucket')
    throw new KvError('BucketNotFound', `${key}: there is no such bucket`)
}

function field(xml: string, name: string): string {
  const [, text = ''] = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml) ?? []
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&')
}

function bodyOfResponse(
  response: Response,
  key: string,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const reader = response.body?.getReader()
  if (reader === undefined) return bodyOfBytes(new Uint8Array(), signal)
  return bodyOf(
    async () => {
      try {
        signal?.throwIfAborted()
        return (await reader.read()).value
      } catch (error) {
        signal?.throwIfAborted()
        throw new KvError('Unreachable', `GET ${key}: the connection broke`, { cause: error })
      }
    },
    async () => {
      await reader.cancel().catch(() => undefined)
    },
  )
}
