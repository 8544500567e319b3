import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { unreadable } from '../output/local-file.ts'
import { UsageError } from '../output/usage-error.ts'

/** An Ed25519 key from a PEM file, as DER. UsageError for a file that cannot be read or holds none. */
export async function keyFile(
  path: string,
  kind: 'private' | 'public',
  command: string,
): Promise<Uint8Array> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unreadable(path, error, command)
  })
  const key = keyOf(text, kind)
  if (key?.asymmetricKeyType !== 'ed25519')
    throw new UsageError(`${path} holds no Ed25519 ${kind} key in PEM`, command)
  return kind === 'private'
    ? key.export({ format: 'der', type: 'pkcs8' })
    : key.export({ format: 'der', type: 'spki' })
}

function keyOf(text: string, kind: 'private' | 'public'): KeyObject | undefined {
  try {
    return kind === 'private' ? createPrivateKey(text) : createPublicKey(text)
  } catch {
    // Its text might hold a part of the key.
    return undefined
  }
}
