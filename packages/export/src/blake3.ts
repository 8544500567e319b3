import { createBLAKE3 } from 'hash-wasm'

/** BLAKE3 of 256 bits, over bytes that come in pieces. */
export interface Hasher {
  update(bytes: Uint8Array): void
  /** Lower-case hex; once. */
  digest(): string
}

/** Of one call into the hash, so that it takes about a millisecond. */
export const HASH_STRETCH_BYTES: number = 512 * 1024

interface NativeModule {
  readonly Blake3Hasher: new () => { update(bytes: Uint8Array): unknown; digest(format: 'hex'): string }
}

const NATIVE_NAME: string = '@napi-rs/blake-hash'
let native: Promise<NativeModule | undefined> | undefined

/** The native library's where it is installed, which is several times as fast; else WebAssembly. */
export async function newBlake3(): Promise<Hasher> {
  native ??= (import(NATIVE_NAME) as Promise<NativeModule>).then(
    (module) => (typeof module.Blake3Hasher === 'function' ? module : undefined),
    () => undefined,
  )
  const module = await native
  if (module === undefined) return portableBlake3()
  const hash = new module.Blake3Hasher()
  return {
    update: (bytes) => {
      hash.update(bytes)
    },
    digest: () => hash.digest('hex'),
  }
}

/** The one that works everywhere. */
export async function portableBlake3(): Promise<Hasher> {
  const hash = await createBLAKE3()
  hash.init()
  return {
    update: (bytes) => {
      hash.update(bytes)
    },
    digest: () => hash.digest('hex'),
  }
}
