import { readFile } from 'node:fs/promises'
import type { NatsConnectionConfig } from '@slip/nats'
import type { OptionSpecs, ParsedOptions } from '../command/command.ts'
import { durationMs } from '../command/units.ts'
import { UsageError } from '../output/usage-error.ts'

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

/** Where to connect and as whom: the option, then its variable, then the NATS CLI's selected context. */
export async function connectionConfig(options: ParsedOptions): Promise<NatsConnectionConfig> {
  const given = (name: string): string | undefined =>
    options.text(name) ?? process.env[`SLIP_${name.toUpperCase().replaceAll('-', '_')}`]
  const server = given('server')
  const context =
    given('context') ??
    (server === undefined ? await (await import('@slip/nats')).selectedContext() : undefined)
  const nkeyFile = given('nkey')
  const servers = server ?? (context === undefined ? DEFAULT_SERVER : undefined)
  const tls = defined({ caFile: given('tls-ca'), certFile: given('tls-cert'), keyFile: given('tls-key') })
  return defined({
    servers: servers?.split(','),
    context,
    credsFile: given('creds'),
    nkeySeed: nkeyFile === undefined ? undefined : await seedFrom(nkeyFile),
    user: given('user'),
    password: given('password'),
    token: given('token'),
    tls: Object.keys(tls).length === 0 ? undefined : tls,
    timeoutMs: connectTimeoutMs(options),
  })
}

export function connectTimeoutMs(options: ParsedOptions): number {
  const text = options.text('timeout') ?? process.env['SLIP_TIMEOUT']
  return text === undefined ? DEFAULT_TIMEOUT_MS : durationMs(text, 'timeout')
}

async function seedFrom(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    throw new UsageError(
      `the nkey file ${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'error'}`,
    )
  }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>
}
