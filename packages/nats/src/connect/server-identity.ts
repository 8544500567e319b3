import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import type { TlsOptions } from '@nats-io/nats-core'

/** What Node holds a certificate against when it is told no name, as by the client for an address. */
const NO_NAME = 'localhost'

/**
 * TLS options that hold a server's certificate against the address it was given by: without them a
 * server at an address would have to prove that it is `localhost`. Of a cluster known by addresses
 * alone, a certificate may be for any of those given.
 */
export function withServerIdentity(tls: TlsOptions, servers: readonly string[]): TlsOptions {
  const hosts = servers.map((server) => new URL(server).hostname.replace(/^\[|\]$/g, ''))
  const options = {
    ...tls,
    checkServerIdentity(name: string, certificate: PeerCertificate): Error | undefined {
      if (name !== NO_NAME || hosts.includes(NO_NAME)) return checkServerIdentity(name, certificate)
      const wrong = hosts.map((host) => checkServerIdentity(host, certificate))
      return wrong.includes(undefined) ? undefined : wrong[0]
    },
  }
  return options
}
