import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { bytesToHex, hexToBytes } from '@slip/kv-core'

/** Beside the manifest: signatures of its bytes, a line each. */
export const SIGNATURE_FILE = 'MANIFEST.sig'
/** A larger one is not read. */
export const MAX_SIGNATURE_FILE_BYTES = 8192

/** What stands before the signed bytes, so that a signature speaks of artifacts only. */
const CONTEXT = 'slip artifact manifest\n'
const LINE = /^ed25519 ([0-9a-f]{64}) ([0-9a-f]{128})$/
const RAW_KEY_BYTES = 32
const PRIVATE_DER = hexToBytes('302e020100300506032b657004220420')
const PUBLIC_DER = hexToBytes('302a300506032b6570032100')

export type SignatureState = 'absent' | 'invalid' | 'untrusted' | 'trusted'

/**
 * The signature file for a manifest: `ed25519 KEY SIGNATURE`, in hex. `key` is an Ed25519 private key,
 * its 32 bytes or PKCS #8; `TypeError` for anything else.
 */
export function signManifest(manifest: Uint8Array, key: Uint8Array): Uint8Array {
  const privateKey = readPrivateKey(key)
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  const signature = sign(undefined, signedBytes(manifest), privateKey)
  const line = `ed25519 ${bytesToHex(publicKey.subarray(-RAW_KEY_BYTES))} ${bytesToHex(signature)}\n`
  return new TextEncoder().encode(line)
}

/**
 * What the signature file says of a manifest. `trusted`: one of `trustedKeys` (32 bytes, or SPKI) signed
 * it. One line that cannot be read, or whose signature does not fit, makes all of it `invalid`.
 */
export function judgeSignatures(
  manifest: Uint8Array,
  file: Uint8Array | undefined,
  trustedKeys: readonly Uint8Array[],
): SignatureState {
  const trusted = new Set(trustedKeys.map((key) => bytesToHex(rawPublicKey(key))))
  if (file === undefined) return 'absent'
  const text = Buffer.from(file).toString('latin1')
  if (!text.endsWith('\n')) return 'invalid'
  const signed = signedBytes(manifest)
  let state: SignatureState = 'untrusted'
  for (const line of text.slice(0, -1).split('\n')) {
    const [, key, signature] = LINE.exec(line) ?? []
    if (key === undefined || signature === undefined) return 'invalid'
    if (!isSigned(signed, hexToBytes(key), hexToBytes(signature))) return 'invalid'
    if (trusted.has(key)) state = 'trusted'
  }
  return state
}

function isSigned(signed: Uint8Array, key: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(undefined, signed, publicKeyOf(key), signature)
  } catch {
    return false
  }
}

function signedBytes(manifest: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(CONTEXT), manifest])
}

function readPrivateKey(key: Uint8Array): KeyObject {
  const der = key.length === RAW_KEY_BYTES ? Buffer.concat([PRIVATE_DER, key]) : Buffer.from(key)
  let read: KeyObject | undefined
  try {
    read = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } catch {
    // Its text might hold a part of the key.
  }
  if (read?.asymmetricKeyType !== 'ed25519')
    throw new TypeError('a signing key is an Ed25519 private key: 32 bytes, or PKCS #8')
  return read
}

function rawPublicKey(key: Uint8Array): Uint8Array {
  const raw = key.length === RAW_KEY_BYTES ? key : key.subarray(PUBLIC_DER.length)
  const whole =
    key.length === RAW_KEY_BYTES || Buffer.compare(key.subarray(0, PUBLIC_DER.length), PUBLIC_DER) === 0
  if (!whole || raw.length !== RAW_KEY_BYTES)
    throw new TypeError('a trusted key is an Ed25519 public key: 32 bytes, or SPKI')
  return raw
}

function publicKeyOf(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([PUBLIC_DER, raw]), format: 'der', type: 'spki' })
}
