import { KvError } from '@slip/kv-core'
import { codeOf, regionOf } from './s3-failure.ts'
import { signedHeaders, type S3Credentials, type S3RequestToSign } from './s3-signature.ts'

export interface S3SigningOptions {
  readonly bucket: string
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  readonly credentials?: (() => S3Credentials | Promise<S3Credentials>) | undefined
}

/** By what requests are signed, and where they go: what the options and the environment say, until the server knows better. */
export class S3Signing {
  readonly #options: S3SigningOptions
  readonly #endpoint: string | undefined
  #region: string
  /** How far the server's clock is ahead of ours. */
  #skewMs = 0
  #used: S3Credentials | undefined

  constructor(options: S3SigningOptions) {
    const { env } = process
    this.#options = options
    this.#region = options.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? 'us-east-1'
    this.#endpoint = options.endpoint ?? env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL']
  }

  /** Of the bucket. */
  get base(): string {
    const { bucket } = this.#options
    return this.#endpoint === undefined
      ? `https://${bucket}.s3.${this.#region}.amazonaws.com`
      : `${this.#endpoint.replace(/\/+$/, '')}/${bucket}`
  }

  async sign(request: Omit<S3RequestToSign, 'region' | 'now'>): Promise<Record<string, string>> {
    this.#used = await this.#credentials()
    const now = new Date(Date.now() + this.#skewMs)
    return signedHeaders({ ...request, region: this.#region, now }, this.#used)
  }

  /**
   * Learns what an answer says was wrong with a signature: the time, the region, or credentials that are others by now. Gives what
   * that is in words, and whether it is another one now.
   */
  async learn(response: Response, xml: string): Promise<{ readonly learned: boolean; readonly why: string }> {
    const code = codeOf(xml)
    if (code === 'RequestTimeTooSkewed') return this.#learnTime(response.headers.get('date'))
    if (response.status === 301 || ['PermanentRedirect', 'AuthorizationHeaderMalformed'].includes(code))
      return this.#learnRegion(regionOf(response.headers.get('x-amz-bucket-region'), xml), response.status)
    const before = this.#used
    const { accessKeyId, sessionToken } = await this.#credentials()
    const learned = accessKeyId !== before?.accessKeyId || sessionToken !== before.sessionToken
    return { learned, why: 'the credentials are not, or no longer, good' }
  }

  #learnTime(date: string | null): { readonly learned: boolean; readonly why: string } {
    const skewMs = Date.parse(date ?? '') - Date.now()
    if (Number.isNaN(skewMs)) return { learned: false, why: 'the clock here is too far off' }
    this.#skewMs = skewMs
    const off = `${Math.round(Math.abs(skewMs) / 1000)} s ${skewMs > 0 ? 'behind' : 'ahead of'}`
    return { learned: true, why: `the clock here is ${off} the store's` }
  }

  /** An endpoint that was given is kept: another signature does not help where it sends elsewhere. */
  #learnRegion(
    region: string | undefined,
    status: number,
  ): { readonly learned: boolean; readonly why: string } {
    if (region === undefined || region === this.#region)
      return { learned: false, why: 'the bucket is elsewhere' }
    const why = `the bucket is in ${region}, and ${this.#region} was asked`
    if (status === 301 && this.#endpoint !== undefined) return { learned: false, why }
    this.#region = region
    return { learned: true, why }
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
