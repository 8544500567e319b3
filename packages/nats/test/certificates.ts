import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'

/** A certificate and its key as PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** An authority of its own; without a host its certificates are for the address 127.0.0.1. */
export interface Authority {
  readonly cert: string
  issue(name: string, host?: string): Certificate
}

/** Makes a certificate authority. Nobody but these tests trusts it. */
export function certificateAuthority(name: string): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const constraints = extension('2.5.29.19', sequence(BOOLEAN_TRUE), true)
  return {
    cert: certificate({
      subject: name,
      issuer: name,
      key: keys.publicKey,
      signer: keys.privateKey,
      extensions: [constraints],
    }),
    issue(subject, host) {
      const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const owner =
        host === undefined ? tagged(0x87, Buffer.of(127, 0, 0, 1)) : tagged(0x82, Buffer.from(host))
      return {
        cert: certificate({
          subject,
          issuer: name,
          key: own.publicKey,
          signer: keys.privateKey,
          extensions: [extension('2.5.29.17', sequence(owner), false)],
        }),
        key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      }
    },
  }
}

interface CertificateParts {
  readonly subject: string
  readonly issuer: string
  readonly key: KeyObject
  readonly signer: KeyObject
  readonly extensions: readonly Buffer[]
}

const DAY_MS = 86_400_000
const BOOLEAN_TRUE = Buffer.of(0x01, 0x01, 0xff)
const ECDSA_WITH_SHA256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'))

// RFC 5280, section 4.1.
function certificate({ subject, issuer, key, signer, extensions }: CertificateParts): string {
  const now = Date.now()
  const body = sequence(
    tagged(0xa0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(1), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    commonName(issuer),
    sequence(time(now - DAY_MS), time(now + DAY_MS)),
    commonName(subject),
    key.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions)),
  )
  const signature = tagged(0x03, Buffer.concat([Buffer.of(0), sign('sha256', body, signer)]))
  const base64 = sequence(body, ECDSA_WITH_SHA256, signature).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
}

function commonName(name: string): Buffer {
  return sequence(tagged(0x31, sequence(objectIdentifier('2.5.4.3'), tagged(0x0c, Buffer.from(name)))))
}

function extension(id: string, content: Buffer, critical: boolean): Buffer {
  return sequence(objectIdentifier(id), ...(critical ? [BOOLEAN_TRUE] : []), tagged(0x04, content))
}

function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')
  return tagged(0x18, Buffer.from(digits))
}

function objectIdentifier(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f]
  for (let left = value >> 7; left > 0; left >>= 7) bytes.unshift((left & 0x7f) | 0x80)
  return bytes
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes)
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts))
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
