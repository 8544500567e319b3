import type { JetStreamClient, JetStreamManager, StoredMsg } from '@nats-io/jetstream'
import { KvError, type KvErrorCode } from '@slip/kv-core'

/** An object as its bucket keeps it: the layout of the NATS Object Store. */
export interface NatsObjectInfo {
  readonly name: string
  readonly bucket: string
  /** Names the chunks. */
  readonly nuid: string
  readonly size: number
  readonly chunks: number
  /** `SHA-256=` and padded base64url. */
  readonly digest: string
  readonly deleted?: boolean
  readonly options?: { readonly max_chunk_size?: number }
  /** Ours: where the chunks lie, when they lie side by side. */
  readonly metadata?: { readonly slip_first_seq?: string }
}

export interface NatsObjectsOptions {
  /** The JetStream domain. */
  readonly domain?: string | undefined
  /** Where the JetStream API is, instead of `$JS.API`. */
  readonly apiPrefix?: string | undefined
  /** Of a bucket that is made. @default 1 */
  readonly replicas?: number | undefined
}

/** A client of JetStream and what is done to the stream of one object bucket. */
export class NatsObjectBucket {
  readonly client: JetStreamClient
  readonly manager: JetStreamManager
  readonly name: string
  readonly stream: string
  readonly #replicas: number

  private constructor(client: JetStreamClient, manager: JetStreamManager, name: string, replicas: number) {
    this.client = client
    this.manager = manager
    this.name = name
    this.stream = `OBJ_${name}`
    this.#replicas = replicas
  }

  /** KvError `Unsupported` where `@nats-io/jetstream` is not installed. */
  static async open(
    connection: object,
    name: string,
    { domain, apiPrefix, replicas = 1 }: NatsObjectsOptions,
  ): Promise<NatsObjectBucket> {
    const module = await import('@nats-io/jetstream').catch((cause: unknown) => {
      throw new KvError('Unsupported', 'natsObjects needs the package @nats-io/jetstream', { cause })
    })
    const raw = connection as Parameters<typeof module.jetstream>[0]
    return asking('opening', async () => {
      const where = {
        checkAPI: false,
        ...(domain === undefined ? {} : { domain }),
        ...(apiPrefix === undefined ? {} : { apiPrefix }),
      }
      const manager = await module.jetstreamManager(raw, where)
      return new NatsObjectBucket(module.jetstream(raw, where), manager, name, replicas)
    })
  }

  metaSubject(name: string): string {
    const base64 = Buffer.from(name).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
    return `$O.${this.name}.M.${base64}`
  }

  /** Of the entries of all objects. */
  get entrySubjects(): string {
    return `$O.${this.name}.M.>`
  }

  chunkSubject(nuid: string): string {
    return `$O.${this.name}.C.${nuid}`
  }

  /** Makes the stream unless it is there. */
  async create(): Promise<void> {
    try {
      await this.manager.streams.info(this.stream)
    } catch (error) {
      if (errorCode(error) !== NO_STREAM) throw error
      await this.manager.streams.add({
        name: this.stream,
        subjects: [`$O.${this.name}.C.>`, `$O.${this.name}.M.>`],
        allow_direct: true,
        allow_rollup_hdrs: true,
        discard: 'new',
        num_replicas: this.#replicas,
      })
    }
  }

  /** The newest entry of a name, at its revision, by the leader; undefined when there is none, or no bucket. */
  async meta(
    name: string,
  ): Promise<{ readonly revision: number; readonly info: NatsObjectInfo } | undefined> {
    try {
      const found = await this.manager.streams.getMessage(this.stream, {
        last_by_subj: this.metaSubject(name),
      })
      return found === null ? undefined : { revision: found.seq, info: found.json<NatsObjectInfo>() }
    } catch (error) {
      if ([NO_STREAM, NO_MESSAGE].includes(errorCode(error) ?? 0)) return undefined
      throw error
    }
  }

  /** Removes the messages of a subject, all of them or those before a revision. */
  async purge(subject: string, before?: number): Promise<void> {
    await this.manager.streams.purge(
      this.stream,
      before === undefined ? { filter: subject } : { filter: subject, seq: before },
    )
  }

  /** Subjects that match and have messages now, by the leader; none when there is no bucket. */
  async subjects(filter: string): Promise<readonly string[]> {
    try {
      const { state } = await this.manager.streams.info(this.stream, { subjects_filter: filter })
      return Object.keys(state.subjects ?? {})
    } catch (error) {
      if (errorCode(error) === NO_STREAM) return []
      throw error
    }
  }

  /** The newest message of a subject, by the leader; undefined when there is none. */
  async newest(subject: string): Promise<StoredMsg | undefined> {
    try {
      return (await this.manager.streams.getMessage(this.stream, { last_by_subj: subject })) ?? undefined
    } catch (error) {
      if (errorCode(error) === NO_MESSAGE) return undefined
      throw error
    }
  }
}

const NO_STREAM = 10_059
const NO_MESSAGE = 10_037
const CONFLICTS = new Set([10_071, 10_164])
const CODES: Readonly<Record<number, KvErrorCode>> = {
  10_023: 'QuotaExceeded',
  10_026: 'QuotaExceeded',
  10_028: 'QuotaExceeded',
  10_047: 'QuotaExceeded',
  10_054: 'QuotaExceeded',
  10_057: 'PermissionDenied',
  10_059: 'BucketNotFound',
  10_077: 'QuotaExceeded',
  10_110: 'PermissionDenied',
  10_122: 'QuotaExceeded',
}

/** Whether another write of the same subject came first. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(errorCode(error) ?? 0)
}

/** The server's `err_code`, of an error or one of its causes. */
function errorCode(error: unknown): number | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { readonly code?: unknown }
    if (typeof code === 'number') return code
  }
  return undefined
}

/** Runs `work`; what the client throws becomes a KvError, and nothing else is touched. */
export async function asking<R>(what: string, work: () => Promise<R>): Promise<R> {
  try {
    return await work()
  } catch (error) {
    throw asKvError(error, what)
  }
}

export function asKvError(error: unknown, what: string): unknown {
  if (!(error instanceof Error) || KvError.is(error)) return error
  // The client says of a request that was not allowed only that it failed.
  const code = isViolation(error) ? 'PermissionDenied' : (CODES[errorCode(error) ?? 0] ?? byName(error))
  return code === undefined ? error : new KvError(code, `${what} failed: ${error.name}`, { cause: error })
}

/** Whether what was asked is not allowed, by an error or one of its causes. */
export function isViolation(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause)
    if (at.name === 'PermissionViolationError') return true
  return false
}

function byName(error: Error): KvErrorCode | undefined {
  switch (error.name) {
    case 'TimeoutError':
      return 'Timeout'
    case 'ClosedConnectionError':
    case 'DrainingConnectionError':
      return 'Closed'
    case 'ConnectionError':
    case 'RequestError':
    case 'NoRespondersError':
    case 'JetStreamNotEnabled':
    case 'JetStreamStatusError':
    case 'JetStreamError':
      return 'Unreachable'
    default:
      return errorCode(error) === undefined ? undefined : 'Unreachable'
  }
}
