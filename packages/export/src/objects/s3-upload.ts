import { KvError, type WaitOptions } from '@slip/kv-core'
import type { S3Client } from './s3-client.ts'
import { codeOf } from './s3-failure.ts'

const IN_FLIGHT = 3

/** An object that is sent in parts, and is none before it is completed. */
export class S3Upload {
  readonly #client: S3Client
  readonly #key: string
  readonly #wait: WaitOptions
  readonly #parts: Promise<string>[] = []
  #id: string | undefined

  constructor(client: S3Client, key: string, wait: WaitOptions) {
    this.#client = client
    this.#key = key
    this.#wait = wait
  }

  get begun(): boolean {
    return this.#id !== undefined
  }

  /** Waits only while too many are under way. The part must not be changed afterwards. */
  async part(bytes: Uint8Array): Promise<void> {
    const uploadId = (this.#id ??= await this.#begin())
    const number = this.#parts.length + 1
    const sent = this.#client
      .send({
        method: 'PUT',
        name: this.#key,
        query: { partNumber: String(number), uploadId },
        payload: bytes,
        repeatable: true,
        ...this.#wait,
      })
      .then(async (response) => {
        await response.body?.cancel()
        return response.headers.get('etag') ?? ''
      })
    sent.catch(() => undefined)
    this.#parts.push(sent)
    if (number >= IN_FLIGHT) await this.#parts[number - IN_FLIGHT]
  }

  /** The etag; `busy` when somebody wrote the object at the same time. */
  async complete(headers: Readonly<Record<string, string>>): Promise<string> {
    const etags = await Promise.all(this.#parts)
    const listed = etags.map(
      (etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
    )
    const response = await this.#client.send({
      method: 'POST',
      name: this.#key,
      query: { uploadId: this.#id! },
      headers: { ...headers, 'content-type': 'application/xml' },
      payload: Buffer.from(`<CompleteMultipartUpload>${listed.join('')}</CompleteMultipartUpload>`),
      repeatable: false,
      expected: Object.keys(headers).length === 0 ? [409] : [404, 409, 412],
      ...this.#wait,
    })
    const xml = await response.text()
    const code = codeOf(xml)
    if (code === 'NoSuchUpload') throw new KvError('OutcomeUnknown', `POST ${this.#key}: ${code}`)
    if (response.status === 409) await this.abandon()
    if (response.status === 409) return 'busy'
    if (!response.ok) {
      await this.abandon()
      return 'conflict'
    }
    // An answer that began before the work was done can still say that it failed.
    if (code !== '') throw new KvError('OutcomeUnknown', `POST ${this.#key}: ${code}`)
    this.#id = undefined
    const etag = /<ETag>([^<]*)<\/ETag>/.exec(xml)?.[1] ?? ''
    return etag.replaceAll('&quot;', '"').replaceAll('&#34;', '"')
  }

  /** Removes the parts; never rejects. A store may keep what it fails to remove, until its own rule removes it. */
  async abandon(): Promise<void> {
    const uploadId = this.#id
    this.#id = undefined
    if (uploadId === undefined) return
    await Promise.allSettled(this.#parts)
    await this.#client
      .send({
        method: 'DELETE',
        name: this.#key,
        query: { uploadId },
        repeatable: true,
        expected: [404],
        timeoutMs: this.#wait.timeoutMs,
      })
      .then((response) => response.body?.cancel())
      .catch(() => undefined)
  }

  async #begin(): Promise<string> {
    const response = await this.#client.send({
      method: 'POST',
      name: this.#key,
      query: { uploads: '' },
      repeatable: true,
      ...this.#wait,
    })
    const id = /<UploadId>([^<]+)<\/UploadId>/.exec(await response.text())?.[1]
    if (id === undefined) throw new KvError('Unreachable', `POST ${this.#key}: no upload was begun`)
    return id
  }
}
