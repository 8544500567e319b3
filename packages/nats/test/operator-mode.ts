import { nkeys } from '@nats-io/nats-core'

type Pair = ReturnType<typeof nkeys.createUser>

/** A server configuration with an operator and one account, and credentials of its users. */
export function operatorMode(): {
  readonly config: string
  userCreds(name: string, expiresAtMs?: number): string
} {
  const operator = nkeys.createOperator()
  const account = nkeys.createAccount()
  const limits = {
    subs: -1,
    data: -1,
    payload: -1,
    imports: -1,
    exports: -1,
    wildcards: true,
    conn: -1,
    leaf: -1,
  }
  const operatorJwt = jwt(operator, operator, 'operator', {})
  const accountJwt = jwt(operator, account, 'account', { limits })
  return {
    config: [
      `operator: ${operatorJwt}`,
      'resolver: MEMORY',
      `resolver_preload: { ${account.getPublicKey()}: ${accountJwt} }`,
    ].join('\n'),
    userCreds(name, expiresAtMs) {
      const user = nkeys.createUser()
      const limits = { subs: -1, data: -1, payload: -1 }
      const userJwt = jwt(account, user, 'user', limits, { name, expiresAtMs })
      const seed = new TextDecoder().decode(user.getSeed())
      return `-----BEGIN NATS USER JWT-----\n${userJwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`
    },
  }
}

function jwt(
  issuer: Pair,
  subject: Pair,
  type: string,
  claims: object,
  { name = type, expiresAtMs }: { readonly name?: string; readonly expiresAtMs?: number | undefined } = {},
): string {
  const head = encoded({ typ: 'JWT', alg: 'ed25519-nkey' })
  const body = encoded({
    jti: `${name}-${subject.getPublicKey()}`,
    iat: 1_700_000_000,
    ...(expiresAtMs === undefined ? {} : { exp: Math.ceil(expiresAtMs / 1_000) }),
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name,
    nats: { ...claims, type, version: 2 },
  })
  const signature = Buffer.from(issuer.sign(Buffer.from(`${head}.${body}`))).toString('base64url')
  return `${head}.${body}.${signature}`
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
