import { readFile } from 'node:fs/promises'
import type { NatsConnectionConfig } from '@slip/nats'
import type { OptionSpecs, ParsedOptions } from '../command/command.ts'
import { durationMs, LONGEST_TIMER } from '../command/units.ts'
import { mustBeReadable, unreadable } from '../output/local-file.ts'
import { mustBeUsable } from './usable-config.ts'

const DEFAULT_SERVER = 'nats://127.0.0.1:4222'
const DEFAULT_TIMEOUT_MS = 5_000

/** Each also has a variable: `--tls-ca` is `SLIP_TLS_CA`. */
export const CONNECTION_OPTIONS: OptionSpecs = {
  server: { value: 'URL[,URL…]', help: `default ${DEFAULT_SERVER}` },
  context: { value: 'NAME', help: 'a context of the NATS CLI; default the selected one' },
  creds: { value: 'FILE', help: 'a credentials file' },
  nkey: { value: 'FILE', help: 'a file with an nkey seed' },
  user: { value: 'NAME', help: 'user name' },
  password: { value: 'TEXT', help: 'password; better given as SLIP_PASSWORD' },
  token: { value: 'TEXT', help: 'token; better given as SLIP_TOKEN' },
  'tls-ca': { value: 'FILE', help: 'certificates to trust' },
  'tls-cert': { value: 'FILE', help: 'our certificate' },
  'tls-key': { value: 'FILE', help: "our certificate's key" },
  timeout: { value: 'DURATION', help: 'how long a connection attempt may take; default 5s' },
}

/** The ways of saying who we are; what belongs together stands together. */
const IDENTITIES = [['creds'], ['nkey'], ['user', 'password'], ['token']] as const

/**
 * Where to connect and as whom: the option, then its variable, then the NATS CLI's selected context. An
 * option that says where wins over a variable that does, and one that says who over every variable that
 * does. UsageError for what cannot be used, files that are not there among it.
 */
export async function connectionConfig(options: ParsedOptions): Promise<NatsConnectionConfig> {
  const given = (name: string): string | undefined => options.text(name) ?? variable(name)
  const server =
    options.text('server') ?? (options.text('context') === undefined ? variable('server') : undefined)
  const context =
    given('context') ??
    (server === undefined ? await (await import('@slip/nats')).selectedContext() : undefined)
  const servers = server ?? (context === undefined ? DEFAULT_SERVER : undefined)
  const { creds, nkey, user, password, token } = identity(options)
  const tls = defined({ caFile: given('tls-ca'), certFile: given('tls-cert'), keyFile: given('tls-key') })
  for (const file of [creds, ...Object.values(tls)]) if (file !== undefined) await mustBeReadable(file)
  const config: NatsConnectionConfig = defined({
    servers: servers?.split(','),
    context,
    credsFile: creds,
    nkeySeed: nkey === undefined ? undefined : await seedFrom(nkey),
    user,
    password,
    token,
    tls: Object.keys(tls).length === 0 ? undefined : tls,
    timeoutMs: connectTimeoutMs(options),
  })
  await mustBeUsable(config)
  return config
}

export function connectTimeoutMs(options: ParsedOptions): number {
  const text = options.text('timeout') ?? variable('timeout')
  return text === undefined
    ? DEFAULT_TIMEOUT_MS
    : durationMs(text, 'timeout', { least: '1ms', most: LONGEST_TIMER })
}

/** Whether an option or a variable says where to connect. */
export function namesServer(options: ParsedOptions): boolean {
  return ['server', 'context'].some((name) => (options.text(name) ?? variable(name)) !== undefined)
}

type IdentityName = (typeof IDENTITIES)[number][number]

function identity(options: ParsedOptions): { readonly [K in IdentityName]?: string } {
  const byOption = IDENTITIES.filter((names) => names.some((name) => options.text(name) !== undefined))
  const names = (byOption.length > 0 ? byOption : IDENTITIES).flat()
  return defined(Object.fromEntries(names.map((name) => [name, options.text(name) ?? variable(name)])))
}

/** The value of `SLIP_…`; an empty one is none. */
function variable(name: string): string | undefined {
  return process.env[`SLIP_${name.toUpperCase().replaceAll('-', '_')}`] || undefined
}

async function seedFrom(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    throw unreadable(path, error)
  }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>
}
