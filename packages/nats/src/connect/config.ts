import { readFile } from 'node:fs/promises'
import type { TlsOptions } from '@nats-io/nats-core'
import { KvError } from '@slip/kv-core'

import { contextPath, readContext, systemCode, type ContextFile } from './context-file.ts'
import { parseServers } from './servers.ts'

/** The content of a `.creds` file, or a function that reads it anew for each attempt to connect. */
export type Credentials = string | Uint8Array | (() => string | Uint8Array | Promise<string | Uint8Array>)

/**
 * Where to connect and as whom. What is given here wins over the same thing in `context`; one way of
 * authenticating given here or in a URL replaces all of the context's.
 */
export interface NatsConnectionConfig {
  /**
   * URLs or `host:port`, each possibly a comma list; `user:password@` or `token@`, percent-encoded, may
   * stand in them. Default `nats://127.0.0.1:4222`.
   */
  readonly servers?: string | readonly string[]
  /** The name of a context of the NATS CLI. */
  readonly context?: string
  readonly creds?: Credentials
  /** Read anew for each attempt to connect. */
  readonly credsFile?: string
  readonly user?: string
  readonly password?: string
  readonly token?: string
  /** `SU…`. */
  readonly nkeySeed?: string
  /** PEM files, read anew for each attempt to connect. */
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string }
  /** JetStream domain. */
  readonly domain?: string
  /** In place of `$JS.API`. */
  readonly apiPrefix?: string
  /** Where replies are received. @default '_INBOX' */
  readonly inboxPrefix?: string
  /** How long the first connect may take, and a request unless it says otherwise. @default 5000 */
  readonly timeoutMs?: number
}

/** One way of proving who we are. */
export interface Identity {
  readonly creds?: Credentials
  readonly user?: string
  readonly password?: string
  readonly token?: string
  readonly nkeySeed?: string
}

/** A configuration with its context read and its URLs taken apart. */
export interface ResolvedConfig {
  readonly servers: readonly string[]
  readonly identity: Identity
  readonly tls: TlsOptions | undefined
  readonly apiPrefix: string
  readonly inboxPrefix: string
  readonly timeoutMs: number
}

const DEFAULT_SERVER = 'nats://127.0.0.1:4222'
export const DEFAULT_TIMEOUT_MS = 5_000
export const DEFAULT_API_PREFIX = '$JS.API'
export const DEFAULT_INBOX_PREFIX = '_INBOX'

/** `TypeError` for a configuration that cannot be meant, KvError `Unauthorized` for a missing key file. */
export async function resolveConfig(config: NatsConnectionConfig): Promise<ResolvedConfig> {
  const context = config.context === undefined ? undefined : await readContext(config.context)
  const given = parseServers(config.servers ?? (context?.url || DEFAULT_SERVER))
  const timeoutMs = config.timeoutMs ?? DEFAULT_TIMEOUT_MS
  if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0, not ${timeoutMs}`)
  const { servers, tls: wantsTls, ...inUrl } = given
  const own = ownIdentity(config)
  const fromContext = context === undefined ? {} : await contextIdentity(context)
  return {
    servers,
    identity: [own, inUrl, fromContext].find((identity) => Object.keys(identity).length > 0) ?? {},
    tls: tlsOptions(config.tls ?? contextTls(context), wantsTls, context?.tls_first ?? false),
    apiPrefix: apiPrefix(config, context),
    inboxPrefix: withoutLastDot(config.inboxPrefix ?? (context?.inbox_prefix || DEFAULT_INBOX_PREFIX)),
    timeoutMs,
  }
}

/** The subject JetStream requests begin with; `TypeError` when both ways of saying it are used. */
export function apiPrefix(
  given: Pick<NatsConnectionConfig, 'domain' | 'apiPrefix'>,
  context?: ContextFile,
): string {
  if (given.domain !== undefined && given.apiPrefix !== undefined)
    throw new TypeError('give domain or apiPrefix, not both')
  if (given.apiPrefix !== undefined) return withoutLastDot(given.apiPrefix)
  if (given.domain !== undefined) return `$JS.${given.domain}.API`
  if (context !== undefined && context.jetstream_api_prefix !== '')
    return withoutLastDot(context.jetstream_api_prefix)
  return context !== undefined && context.jetstream_domain !== ''
    ? `$JS.${context.jetstream_domain}.API`
    : DEFAULT_API_PREFIX
}

function ownIdentity({ creds, credsFile, user, password, token, nkeySeed }: NatsConnectionConfig): Identity {
  if (creds !== undefined && credsFile !== undefined) throw new TypeError('give creds or credsFile, not both')
  return defined({
    creds: creds ?? (credsFile === undefined ? undefined : credentialsOf(credsFile)),
    user,
    password,
    token,
    nkeySeed,
  })
}

async function contextIdentity(context: ContextFile): Promise<Identity> {
  const { creds, nkey, user, password, token } = context
  return defined({
    creds: creds === '' ? undefined : credentialsOf(contextPath(creds)),
    nkeySeed: nkey === '' ? undefined : await readSecretFile(contextPath(nkey)),
    user: user || undefined,
    password: password || undefined,
    token: token || undefined,
  })
}

function credentialsOf(path: string): () => Promise<string> {
  return () => readSecretFile(path)
}

async function readSecretFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new KvError('Unauthorized', `the file ${path} cannot be read: ${systemCode(error)}`)
  }
}

function contextTls(context: ContextFile | undefined): NatsConnectionConfig['tls'] {
  if (context === undefined) return undefined
  const { ca, cert, key } = context
  const files = defined({
    caFile: ca === '' ? undefined : contextPath(ca),
    certFile: cert === '' ? undefined : contextPath(cert),
    keyFile: key === '' ? undefined : contextPath(key),
  })
  return Object.keys(files).length === 0 ? undefined : files
}

function tlsOptions(
  files: NatsConnectionConfig['tls'],
  wanted: boolean,
  first: boolean,
): TlsOptions | undefined {
  if (files === undefined && !wanted && !first) return undefined
  return { ...files, ...(first ? { handshakeFirst: true } : {}) }
}

function withoutLastDot(subject: string): string {
  return subject.endsWith('.') ? subject.slice(0, -1) : subject
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>
}
