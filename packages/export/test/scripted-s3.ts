import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Kept {
  readonly bytes: Buffer
  readonly etag: string
  readonly modified: Date
}

/** A request before it is answered; what it gives is the answer instead, or undefined for the honest one. */
export type Script = (request: {
  readonly method: string
  readonly key: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
}) =>
  | {
      readonly status: number
      readonly code?: string
      readonly before?: boolean
      readonly headers?: Readonly<Record<string, string>>
    }
  | 'ignoreConditions'
  | 'drop'
  | undefined

/** One bucket called `bucket`, over HTTP, that answers as S3 is documented to. */
export class ScriptedS3 {
  readonly objects: Map<string, Kept> = new Map<string, Kept>()
  readonly uploads: Map<string, Map<number, Buffer>> = new Map<string, Map<number, Buffer>>()
  readonly seen: string[] = []
  script: Script = () => undefined
  region = 'us-east-1'
  /** Of its clock. */
  aheadMs = 0
  /** How long it waits before it reads on. */
  pauseMs = 0
  readonly #server = createServer((request, response) => void this.#answer(request, response))

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    try {
      for await (const piece of request) {
        pieces.push(piece as Buffer)
        if (this.pauseMs > 0) await delay(this.pauseMs)
      }
    } catch {
      return
    }
    const payload = Buffer.concat(pieces)
    const url = new URL(request.url!, 'http://scripted')
    const method = request.method!
    const key = decodeURIComponent(url.pathname).replace(/^\/bucket\/?/, '')
    const { headers } = request
    this.seen.push(`${method} ${key} ${[...url.searchParams.keys()].sort().join()}`)
    if (createHash('sha256').update(payload).digest('hex') !== headers['x-amz-content-sha256'])
      return fail(response, 400, 'XAmzContentSHA256Mismatch')
    response.setHeader('date', new Date(Date.now() + this.aheadMs).toUTCString())
    const [, region] =
      /^AWS4-HMAC-SHA256 Credential=key\/\d{8}\/([^/]+)\/s3\/aws4_request,/.exec(
        headers.authorization ?? '',
      ) ?? []
    if (region === undefined) return fail(response, 403, 'SignatureDoesNotMatch')
    if (region !== this.region)
      return fail(response, 400, 'AuthorizationHeaderMalformed', `<Region>${this.region}</Region>`)
    if (Math.abs(Date.now() + this.aheadMs - timeOf(headers)) > 15 * 60_000)
      return fail(response, 403, 'RequestTimeTooSkewed')
    const scripted = this.script({ method, key, query: url.searchParams, headers })
    if (scripted === 'drop') return void response.destroy()
    if (typeof scripted === 'object') {
      if (scripted.before !== true) this.#honest(method, key, url, headers, payload)
      for (const [name, value] of Object.entries(scripted.headers ?? {})) response.setHeader(name, value)
      return fail(response, scripted.status, scripted.code ?? 'Scripted')
    }
    const honest = this.#honest(
      method,
      key,
      url,
      scripted === 'ignoreConditions'
        ? { ...headers, 'if-match': undefined, 'if-none-match': undefined }
        : headers,
      payload,
    )
    response.writeHead(honest.status, honest.headers)
    response.end(method === 'HEAD' ? undefined : honest.body)
  }

  #honest(
    method: string,
    key: string,
    { searchParams: query }: URL,
    headers: IncomingMessage['headers'],
    payload: Buffer,
  ): { readonly status: number; readonly headers: Record<string, string>; readonly body?: Buffer | string } {
    const none = { status: 404, headers: {}, body: '<Error><Code>NoSuchKey</Code></Error>' }
    const there = this.objects.get(key)
    const judge = (): typeof none | undefined => {
      if (headers['if-none-match'] === '*' && there !== undefined)
        return { status: 412, headers: {}, body: '<Error><Code>PreconditionFailed</Code></Error>' }
      if (headers['if-match'] === undefined) return undefined
      if (there === undefined) return none
      return headers['if-match'] === there.etag
        ? undefined
        : { status: 412, headers: {}, body: '<Error><Code>PreconditionFailed</Code></Error>' }
    }
    if (method === 'GET' && query.has('list-type'))
      return { status: 200, headers: {}, body: this.#list(query) }
    if (method === 'GET' || method === 'HEAD') {
      if (there === undefined) return none
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? []
      const { bytes, etag } = there
      if (from === undefined || to === undefined)
        return { status: 200, headers: { etag, 'content-length': String(bytes.length) }, body: bytes }
      if (Number(from) >= bytes.length) return { status: 416, headers: {}, body: '' }
      const part = bytes.subarray(Number(from), Number(to) + 1)
      const range = `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}`
      return {
        status: 206,
        headers: { etag, 'content-range': range, 'content-length': String(part.length) },
        body: part,
      }
    }
    if (method === 'POST' && query.has('uploads')) {
      const id = randomUUID()
      this.uploads.set(id, new Map())
      return { status: 200, headers: {}, body: `<X><UploadId>${id}</UploadId></X>` }
    }
    const parts = this.uploads.get(query.get('uploadId') ?? '')
    if (query.has('uploadId')) {
      if (parts === undefined) return { ...none, body: '<Error><Code>NoSuchUpload</Code></Error>' }
      if (method === 'PUT') {
        parts.set(Number(query.get('partNumber')), payload)
        return { status: 200, headers: { etag: `"${query.get('partNumber')}"` } }
      }
      if (method === 'POST') {
        const failed = judge()
        if (failed !== undefined) return failed
        const whole = [...parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes)
        this.uploads.delete(query.get('uploadId')!)
        const etag = this.#keep(key, Buffer.concat(whole))
        return { status: 200, headers: {}, body: `<X><ETag>${etag.replaceAll('"', '&quot;')}</ETag></X>` }
      }
      this.uploads.delete(query.get('uploadId')!)
      return { status: 204, headers: {} }
    }
    if (method === 'DELETE') {
      this.objects.delete(key)
      return { status: 204, headers: {} }
    }
    return judge() ?? { status: 200, headers: { etag: this.#keep(key, payload) } }
  }

  #keep(key: string, bytes: Buffer): string {
    const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
    this.objects.set(key, { bytes, etag, modified: new Date() })
    return etag
  }

  /** Fifty at a time. */
  #list(query: URLSearchParams): string {
    const names = [...this.objects.keys()].filter((name) => name.startsWith(query.get('prefix') ?? '')).sort()
    const from = Number(query.get('continuation-token') ?? 0)
    const entries = names.slice(from, from + 50).map((name) => {
      const { bytes, modified } = this.objects.get(name)!
      const shown = encodeURIComponent(name).replaceAll('%2F', '/').replaceAll('%20', '+')
      return `<Contents><Key>${shown}</Key><LastModified>${modified.toISOString()}</LastModified><Size>${bytes.length}</Size></Contents>`
    })
    const more = from + 50 < names.length
    return `<R><IsTruncated>${more}</IsTruncated>${entries.join('')}${more ? `<NextContinuationToken>${from + 50}</NextContinuationToken>` : ''}</R>`
  }
}

function timeOf(headers: IncomingMessage['headers']): number {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(headers['x-amz-date'])) ?? []
  const [year = 0, month = 0, ...rest] = parts.map(Number)
  return Date.UTC(year, month - 1, ...rest)
}

function fail(response: ServerResponse, status: number, code: string, more = ''): void {
  response.writeHead(status)
  response.end(`<Error><Code>${code}</Code>${more}</Error>`)
}
