import { readdir } from 'node:fs/promises'

const MANIFEST = 'MANIFEST.json'
const PAYLOAD = 'data'

/** The directory that a word names as an artifact, whole or not: one with a manifest, or with nothing but a payload. */
export async function artifactDirectory(text: string): Promise<string | undefined> {
  const path = text.replace(/^(log|lmdb):/, '')
  const names = path === '' ? [] : await readdir(path).catch(() => [])
  return names.includes(MANIFEST) || (names.length === 1 && names[0] === PAYLOAD) ? path : undefined
}
