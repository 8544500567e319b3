/** Servers without their credentials, and the credentials that stood in them. */
export interface ParsedServers {
  readonly servers: readonly string[]
  readonly user?: string
  readonly password?: string
  readonly token?: string
  readonly tls: boolean
}

const SCHEMES: ReadonlySet<string> = new Set(['nats:', 'tls:'])

/**
 * Reads server URLs, each possibly a comma list. The user part is percent-decoded; without a password
 * it is a token. `TypeError` for what is no NATS URL or when two URLs name different credentials;
 * messages never repeat a URL.
 */
export function parseServers(given: string | readonly string[]): ParsedServers {
  const texts = (typeof given === 'string' ? [given] : given)
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '')
  if (texts.length === 0) throw new TypeError('servers is empty')
  const urls = texts.map(parseUrl)
  const named = urls.filter(({ username, password }) => username !== '' || password !== '')
  const first = named[0]
  if (named.some(({ username, password }) => username !== first?.username || password !== first.password))
    throw new TypeError('the server URLs carry different credentials: one connection has one identity')
  return {
    servers: urls.map(({ host, protocol }) => `${protocol}//${host}`),
    tls: urls.some(({ protocol }) => protocol === 'tls:'),
    ...(first === undefined ? {} : identity(first)),
  }
}

function parseUrl(text: string, index: number): URL {
  let url: URL | undefined
  try {
    url = new URL(text.includes('://') ? text : `nats://${text}`)
  } catch {
    // The error of the platform repeats the text, password and all.
  }
  if (url === undefined || url.hostname === '')
    throw new TypeError(`server ${index + 1} is no URL like nats://host:4222`)
  if (!SCHEMES.has(url.protocol))
    throw new TypeError(`server ${index + 1} has the scheme ${url.protocol} where nats: or tls: is needed`)
  return url
}

function identity({ username, password }: URL): Omit<ParsedServers, 'servers' | 'tls'> {
  return password === ''
    ? { token: decoded(username) }
    : { user: decoded(username), password: decoded(password) }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new TypeError('the user part of a server URL is not percent-encoded correctly')
  }
}
