import { nkeys } from '@nats-io/transport-node'

type Pair = ReturnType<typeof nkeys.createUser>

const UNLIMITED = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
  mem_storage: -1,
  disk_storage: -1,
  streams: -1,
  consumer: -1,
}

/** An operator with one account that may use JetStream, and the users that it signs. */
export class OperatorMode {
  readonly #operator: Pair = nkeys.createOperator()
  readonly #system: Pair = nkeys.createAccount()
  readonly #account: Pair = nkeys.createAccount()
  /** The same one for ever: a server does not take another operator when it reads its configuration again. */
  readonly #operatorToken: string = jwt(this.#operator, this.#operator, 'operator', {})

  /** The server configuration; these users are refused. */
  config(revoked: readonly UserCredentials[] = []): string {
    const now = Math.floor(Date.now() / 1_000)
    const revocations = Object.fromEntries(revoked.map(({ publicKey }) => [publicKey, now]))
    const account = jwt(this.#operator, this.#account, 'account', { limits: UNLIMITED, revocations })
    const system = jwt(this.#operator, this.#system, 'account', {})
    return [
      `operator: ${this.#operatorToken}`,
      `system_account: ${this.#system.getPublicKey()}`,
      'resolver: MEMORY',
      'resolver_preload: {',
      `  ${this.#account.getPublicKey()}: ${account}`,
      `  ${this.#system.getPublicKey()}: ${system}`,
      '}',
    ].join('\n')
  }

  /** A new user, for ever or until `expiresAtMs`. */
  user(expiresAtMs?: number): UserCredentials {
    const user = nkeys.createUser()
    const lasting = expiresAtMs === undefined ? {} : { exp: Math.floor(expiresAtMs / 1_000) }
    const token = jwt(this.#account, user, 'user', { subs: -1, data: -1, payload: -1 }, lasting)
    const seed = new TextDecoder().decode(user.getSeed())
    return {
      publicKey: user.getPublicKey(),
      creds: [
        '-----BEGIN NATS USER JWT-----',
        token,
        '------END NATS USER JWT------',
        '',
        '-----BEGIN USER NKEY SEED-----',
        seed,
        '------END USER NKEY SEED------',
        '',
      ].join('\n'),
    }
  }
}

export interface UserCredentials {
  readonly publicKey: string
  /** The content of a `.creds` file. */
  readonly creds: string
}

function jwt(issuer: Pair, subject: Pair, type: string, claims: object, lasting: object = {}): string {
  const head = encoded({ typ: 'JWT', alg: 'ed25519-nkey' })
  const body = encoded({
    jti: `${type}-${subject.getPublicKey()}`,
    iat: Math.floor(Date.now() / 1_000) - 60,
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name: type,
    ...lasting,
    nats: { ...claims, type, version: 2 },
  })
  const signature = Buffer.from(issuer.sign(Buffer.from(`${head}.${body}`))).toString('base64url')
  return `${head}.${body}.${signature}`
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
