import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'

/** The fields of a NATS CLI context that a connection uses; '' is what the CLI writes for not set. */
export interface ContextFile {
  readonly url: string
  readonly creds: string
  readonly nkey: string
  readonly user: string
  readonly password: string
  readonly token: string
  readonly cert: string
  readonly key: string
  readonly ca: string
  readonly tls_first: boolean
  readonly jetstream_domain: string
  readonly jetstream_api_prefix: string
  readonly inbox_prefix: string
}

const text = z.string().default('')
const contextFile: z.ZodType<ContextFile> = z.object({
  url: text,
  creds: text,
  nkey: text,
  user: text,
  password: text,
  token: text,
  cert: text,
  key: text,
  ca: text,
  tls_first: z.boolean().default(false),
  jetstream_domain: text,
  jetstream_api_prefix: text,
  inbox_prefix: text,
})

const CONTEXT_NAME = /^[^/\\\0]+$/

/** The context the NATS CLI has selected (`nats context select`); undefined when there is none. */
export async function selectedContext(): Promise<string | undefined> {
  try {
    const name = (await readFile(join(contextHome(), 'context.txt'), 'utf8')).trim()
    return name === '' ? undefined : name
  } catch {
    return undefined
  }
}

/** Reads a context of the NATS CLI by name; `TypeError` when there is none, or it is not one. */
export async function readContext(name: string): Promise<ContextFile> {
  if (!CONTEXT_NAME.test(name) || name.includes('..'))
    throw new TypeError(`${JSON.stringify(name)} is no context name`)
  const path = join(contextHome(), 'context', `${name}.json`)
  let json: string
  try {
    json = await readFile(path, 'utf8')
  } catch (error) {
    throw new TypeError(`the context ${name} cannot be read: ${systemCode(error)} at ${path}`, {
      cause: error,
    })
  }
  let content: unknown
  try {
    content = JSON.parse(json)
  } catch {
    // The parser's message quotes the text, in which a password may stand.
    throw new TypeError(`the context file ${path} is not JSON`)
  }
  const parsed = contextFile.safeParse(content)
  if (parsed.success) return parsed.data
  const fields = parsed.error.issues.map(({ path: field }) => field.join('.') || 'the whole').join(', ')
  throw new TypeError(`the context file ${path} is not one of the NATS CLI: wrong are ${fields}`)
}

/** A path as a context names it: `~/` is the home directory. */
export function contextPath(path: string): string {
  return path.startsWith('~/') ? join(homedir(), path.slice(2)) : path
}

/** The code of a system error (`ENOENT`); its message may say too much. */
export function systemCode(error: unknown): string {
  const { code } = error as { readonly code?: unknown }
  return typeof code === 'string' ? code : 'error'
}

function contextHome(): string {
  const configured = process.env['XDG_CONFIG_HOME']
  return join(configured === undefined || configured === '' ? join(homedir(), '.config') : configured, 'nats')
}
