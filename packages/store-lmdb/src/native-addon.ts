import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { SnapshotError } from '@slip/kv-core'

const require = createRequire(import.meta.url)

/**
 * The native half of lmdb for this platform, from its prebuilt package. SnapshotError `Backend` when
 * there is none.
 */
export function loadNativeAddon(): unknown {
  const name = `@lmdb/lmdb-${process.platform}-${process.arch}`
  let directory: string
  try {
    directory = dirname(require.resolve(`${name}/package.json`))
  } catch (cause) {
    throw new SnapshotError('Backend', `${name} is not installed: LMDB needs it on this platform`, { cause })
  }
  const file = addonNames()
    .map((candidate) => join(directory, candidate))
    .find((candidate) => existsSync(candidate))
  if (file === undefined)
    throw new SnapshotError('Backend', `${name} has no build for Node ${process.version}`)
  return require(file)
}

/** The build for exactly this Node before the one for every Node. */
function addonNames(): string[] {
  const libc = process.platform === 'linux' ? (isGlibc() ? '.glibc' : '.musl') : ''
  return [`node.abi${process.versions.modules}${libc}.node`, `node.napi${libc}.node`]
}

function isGlibc(): boolean {
  const report = process.report.getReport() as unknown as { readonly header: object }
  return 'glibcVersionRuntime' in report.header
}
