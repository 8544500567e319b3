import { refused } from '../artifact-error.ts'
import { shown } from '../manifest-fields.ts'
import type { RemoteStream } from './remote-stream.ts'
import { decodeTarHeader, TAR_BLOCK, tarPadding, tarText, type TarHeader } from './tar-header.ts'

const MOST_LONG_NAME_BYTES = 4096
const END_OF_PART = /\/+$/

/**
 * Goes through an archive and gives each regular file, by its name as it is `allowed`, to `take`, which has to
 * read exactly its bytes. Modes, times and directories are passed over. SnapshotError `ArtifactInvalid` for a
 * file that is not allowed or comes twice, for links and whatever else is no file, and for an
 * archive that is cut.
 */
export async function readArchive(
  stream: RemoteStream,
  allowed: ReadonlySet<string>,
  take: (name: string, size: number) => Promise<void>,
): Promise<void> {
  const seen = new Set<string>()
  for (;;) {
    const header = await nextHeader(stream)
    if (header === undefined) return
    const name = header.name.startsWith('./') ? header.name.slice(2) : header.name
    if (header.kind === 'directory') {
      if (!['', '.', 'data'].includes(name.replace(END_OF_PART, '')))
        throw refused(`its archive has a directory ${shown(header.name)}`)
      continue
    }
    if (header.kind !== 'file') throw refused(`its archive has ${shown(header.name)}, which is no file`)
    if (!allowed.has(name))
      throw refused(`its archive holds ${shown(header.name)}, which its manifest does not list`)
    if (seen.has(name)) throw refused(`its archive holds ${shown(name)} twice`)
    seen.add(name)
    await take(name, header.size)
    await mustRead(stream, tarPadding(header.size))
  }
}

/** The next header with its whole name; undefined at the end. */
async function nextHeader(stream: RemoteStream): Promise<TarHeader | undefined> {
  let longName: string | undefined
  for (;;) {
    const block = await stream.exactly(TAR_BLOCK)
    if (block.length === 0 && longName === undefined) return undefined
    if (block.length < TAR_BLOCK) throw cut()
    const header = decodeTarHeader(block)
    if (header === undefined) {
      if (longName !== undefined) throw refused('its archive has a long name of nothing')
      return undefined
    }
    if (header.kind !== 'longName') return longName === undefined ? header : { ...header, name: longName }
    if (longName !== undefined || header.size > MOST_LONG_NAME_BYTES)
      throw refused('its archive has a name that is too long')
    longName = tarText(await mustRead(stream, header.size))
    await mustRead(stream, tarPadding(header.size))
  }
}

/** Exactly so many bytes. SnapshotError `ArtifactInvalid` when there are fewer. */
export async function mustRead(stream: RemoteStream, length: number): Promise<Uint8Array> {
  const bytes = await stream.exactly(length)
  if (bytes.length < length) throw cut()
  return bytes
}

/** That an archive ends where it should not. */
export function cut(): Error {
  return refused('its archive is cut')
}
