import {
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
  type Auth,
  type Authenticator,
} from '@nats-io/nats-core'
import { KvError } from '@slip/kv-core'

import type { Identity } from './config.ts'

const encoder = new TextEncoder()

/**
 * Answers the server's question who we are. Secrets stay inside this object's functions, so that no
 * option of the client holds one.
 *
 * The client asks synchronously: credentials from a promise are read ahead (`refresh`), on every
 * disconnect and with every attempt, for the next one.
 */
export class Identification {
  readonly #identity: Identity
  #credentials: Uint8Array | undefined
  #lastAnswer: Auth | undefined

  private constructor(identity: Identity) {
    this.#identity = identity
  }

  /** Reads credentials for the first time; KvError `Unauthorized` when they cannot be read or used. */
  static async of(identity: Identity): Promise<Identification> {
    const identification = new Identification(identity)
    let failure: unknown
    try {
      await identification.#read()
      identification.#answer('nonce')
      return identification
    } catch (error) {
      failure = error
    }
    if (KvError.is(failure)) throw failure
    // Without a cause: parsers quote what they cannot read.
    throw new KvError('Unauthorized', 'the credentials cannot be read: no JWT, seed or key in them')
  }

  /** Must not throw: the client would give up the connection for good. */
  get authenticator(): Authenticator {
    return (nonce) => {
      try {
        this.refresh()
        this.#lastAnswer = this.#answer(nonce)
      } catch {
        // The server refuses a stale signature, and the next attempt may have better credentials.
      }
      return this.#lastAnswer
    }
  }

  /** Starts to read the credentials again; a failure keeps the last ones. */
  refresh(): void {
    void this.#read().catch(() => undefined)
  }

  async #read(): Promise<void> {
    const { creds } = this.#identity
    if (creds === undefined) return
    const content = typeof creds === 'function' ? creds() : creds
    if (content instanceof Promise) this.#credentials = bytesOf(await content)
    else this.#credentials = bytesOf(content)
  }

  #answer(nonce: string | undefined): Auth {
    const { user, password, token, nkeySeed } = this.#identity
    const ways: Authenticator[] = []
    if (this.#credentials !== undefined) ways.push(credsAuthenticator(this.#credentials))
    if (nkeySeed !== undefined) ways.push(nkeyAuthenticator(encoder.encode(nkeySeed.trim())))
    if (token !== undefined) ways.push(tokenAuthenticator(token))
    if (user !== undefined) ways.push(usernamePasswordAuthenticator(user, password))
    return Object.assign({}, ...ways.map((way) => way(nonce))) as Auth
  }
}

function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === 'string' ? encoder.encode(content) : content
}
