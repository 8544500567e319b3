import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { open, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { bytesToHex, hexToBytes, SnapshotError } from '@slip/kv-core'
import { nodeFileSystem, portableCrc32c, syncData, systemCode } from '@slip/kv-core/store-parts'
import { checkFile } from './file-check.ts'
import { FOLD_ID_BYTES, GENERATION } from './fold-state.ts'

/** Names the file in use: what swaps a fold is the rename of this. */
export const CURRENT_NAME = 'CURRENT'
const CURRENT_DRAFT = 'CURRENT.draft'
/** There while commits are not synced one by one; holds the boot they were made in. */
const UNSYNCED_NAME = 'UNSYNCED'
/** There while a failed sync leaves open what of the file is on disk. */
const DOUBTFUL_NAME = 'DOUBTFUL'
/** There since damage was found in a fold that was open, until all of it was read again. */
const DAMAGED_NAME = 'DAMAGED'
const MARKS = [UNSYNCED_NAME, DOUBTFUL_NAME, DAMAGED_NAME]
/** What a new file may need before its first commit. */
export const FIRST_BYTES: number = 256 * 1024
const FILE_PATTERN = /^fold-(\d{8})\.mdb$/
const OWN_NAMES = /^(fold-\d{8}\.mdb(-lock)?|CURRENT\.draft|UNSYNCED|DOUBTFUL|DAMAGED)$/
const CURRENT_PATTERN = /^slip-lmdb (\d+) (fold-\d{8}\.mdb) ([0-9a-f]{32}) ([0-9a-f]{8})\n$/

/** The fold a directory holds. */
export interface CurrentFold {
  /** The name of its file in the directory. */
  readonly name: string
  readonly foldId: Uint8Array
}

/**
 * What the directory holds. undefined where a fold may be made: nothing, or only what a crash left
 * before the first one was complete. SnapshotError `InvalidFormat` with `at` 0 for somebody else's
 * directory or file, and for a layout that is not known here; `Corrupted` for a damaged CURRENT, and for a
 * fold that has lost it.
 */
export async function readCurrent(directory: string): Promise<CurrentFold | undefined> {
  let text: string
  try {
    text = await readFile(join(directory, CURRENT_NAME), 'latin1')
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw error
    await mustBeFree(directory)
    return undefined
  }
  return parseCurrent(text, directory)
}

function parseCurrent(text: string, directory: string): CurrentFold {
  const path = join(directory, CURRENT_NAME)
  if (!text.startsWith('slip-lmdb '))
    throw new SnapshotError('InvalidFormat', `${directory} is no fold: its ${CURRENT_NAME} is not ours`, {
      path,
      at: 0,
    })
  const [, generation, name, id, crc] = CURRENT_PATTERN.exec(text) ?? []
  if (crc === undefined || checksumOf(text.slice(0, -10)) !== crc)
    throw new SnapshotError('Corrupted', `${path} is damaged`, { path, at: 0 })
  if (generation !== `${GENERATION}`)
    throw new SnapshotError(
      'InvalidFormat',
      `layout generation ${generation} of ${directory} is not known here`,
      { path, at: 0 },
    )
  return { name: name!, foldId: hexToBytes(id!) }
}

/** Whether CURRENT names this file for certain: a rename that failed may be done. */
export async function isStill(directory: string, name: string): Promise<boolean> {
  const current = await readCurrent(directory).catch(() => undefined)
  return current?.name === name
}

/** Makes every name on the way to the fold survive power loss; false when that failed. */
export async function syncNames(directory: string): Promise<boolean> {
  try {
    await nodeFileSystem.syncDirectory(directory)
    await nodeFileSystem.syncDirectory(dirname(directory))
    return true
  } catch {
    return false
  }
}

/** Makes `fold` the one the directory holds: durable when it resolves, and the old or the new one at every moment. */
export async function writeCurrent(directory: string, fold: CurrentFold): Promise<void> {
  const text = `slip-lmdb ${GENERATION} ${fold.name} ${bytesToHex(fold.foldId)}`
  const draft = join(directory, CURRENT_DRAFT)
  const file = await open(draft, 'w', 0o600)
  try {
    await file.writeFile(`${text} ${checksumOf(text)}\n`)
    await syncData(file.fd)
  } finally {
    await file.close()
  }
  await rename(draft, join(directory, CURRENT_NAME))
  await nodeFileSystem.syncDirectory(directory)
}

/** A fold for a file that does not exist yet, numbered above every one that does. */
export async function nextFold(directory: string): Promise<CurrentFold> {
  return newFold((await highestNumber(directory)) + 1)
}

export function newFold(number: number): CurrentFold {
  return { name: `fold-${String(number).padStart(8, '0')}.mdb`, foldId: randomBytes(FOLD_ID_BYTES) }
}

/** Of the files that are there; 0 when none is. */
export async function highestNumber(directory: string): Promise<number> {
  const numbers = (await readdir(directory)).map((name) => Number(FILE_PATTERN.exec(name)?.[1] ?? 0))
  return Math.max(0, ...numbers)
}

/** Removes what a crash left beside `keep`. Only for the holder of the lock. */
export async function removeLeftovers(directory: string, keep: string | undefined): Promise<void> {
  for (const name of await readdir(directory)) {
    const ours = OWN_NAMES.test(name) && !MARKS.includes(name)
    if (!ours || (keep !== undefined && name.startsWith(keep))) continue
    await rm(join(directory, name), { force: true })
  }
}

/** Removes a fold with its directory; nothing where there is none. SnapshotError `InvalidFormat` where there is anything else. */
export async function removeFold(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (names === undefined) return
  if (names.some((name) => name !== CURRENT_NAME && !OWN_NAMES.test(name)))
    throw new SnapshotError('InvalidFormat', `${directory} holds something that is no fold`, {
      path: directory,
      at: 0,
    })
  // Without its name it is no fold, whatever of it is left after a crash.
  for (const name of [CURRENT_NAME, ...names]) await rm(join(directory, name), { force: true })
  await rmdir(directory)
  await nodeFileSystem.syncDirectory(dirname(directory))
}

/** Whether there is anything at the path: a fold, or what must not be overwritten by one. */
export async function isOccupied(path: string): Promise<boolean> {
  try {
    const facts = await stat(path)
    if (!facts.isDirectory()) return true
    const names = await readdir(path)
    return names.some((name) => !OWN_NAMES.test(name)) || (await orphanIn(path, names)) !== undefined
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return false
    throw error
  }
}

async function mustBeFree(directory: string): Promise<void> {
  const orphan = await orphanIn(directory, await readdir(directory).catch(() => []))
  if (orphan !== undefined)
    throw new SnapshotError('Corrupted', `${directory} has lost its ${CURRENT_NAME}: ${orphan} is a fold`, {
      path: join(directory, CURRENT_NAME),
      at: 0,
    })
  if (await isOccupied(directory))
    throw new SnapshotError('InvalidFormat', `${directory} holds something that is no fold`, {
      path: directory,
      at: 0,
    })
}

/** The file of a fold among these names: where none is named by CURRENT, one that was ever committed to has lost its name. */
async function orphanIn(directory: string, names: readonly string[]): Promise<string | undefined> {
  for (const name of names)
    if (FILE_PATTERN.test(name) && !(await isNewborn(join(directory, name)))) return name
  return undefined
}

/** Whether a file is what a crash leaves of one that was being made. */
async function isNewborn(file: string): Promise<boolean> {
  try {
    return (await checkFile(file, 'head')).commit === 0n
  } catch (error) {
    if (!SnapshotError.is(error)) throw error
    return (await sizeOf(file)) <= FIRST_BYTES
  }
}

async function sizeOf(file: string): Promise<number> {
  const facts = await stat(file).catch(() => undefined)
  return facts?.size ?? 0
}

/** Remembers that commits from here on may be half on disk when the machine goes down. */
export async function markUnsynced(directory: string): Promise<void> {
  const file = await open(join(directory, UNSYNCED_NAME), 'w', 0o600)
  try {
    await file.writeFile(await bootId())
    await syncData(file.fd)
  } finally {
    await file.close()
  }
  await nodeFileSystem.syncDirectory(directory)
}

export async function unmarkUnsynced(directory: string): Promise<void> {
  await rm(join(directory, UNSYNCED_NAME), { force: true })
}

/** Whether the machine went down, as far as can be told, while commits were not synced. */
export async function mayBeHalfWritten(directory: string): Promise<boolean> {
  const boot = await readFile(join(directory, UNSYNCED_NAME), 'latin1').catch(() => undefined)
  return boot !== undefined && (boot === '' || boot !== (await bootId()))
}

/**
 * Remembers that a sync failed: the system drops what it could not write, shows it to readers all the
 * same, and reports later syncs as done, so that only a new file proves anything. Never rejects.
 */
export async function markDoubtful(directory: string): Promise<void> {
  await writeFile(join(directory, DOUBTFUL_NAME), '', { mode: 0o600 }).catch(() => undefined)
}

export async function isDoubtful(directory: string): Promise<boolean> {
  return (await stat(join(directory, DOUBTFUL_NAME)).catch(() => undefined)) !== undefined
}

/** The fold was written anew. */
export async function forgetDoubt(directory: string): Promise<void> {
  await rm(join(directory, DOUBTFUL_NAME), { force: true })
}

/** Remembers that the fold has to be read whole before it is opened again. Never rejects. */
export async function markDamaged(directory: string): Promise<void> {
  await writeFile(join(directory, DAMAGED_NAME), '', { mode: 0o600 }).catch(() => undefined)
}

export async function isMarkedDamaged(directory: string): Promise<boolean> {
  return (await stat(join(directory, DAMAGED_NAME)).catch(() => undefined)) !== undefined
}

/** Which mark of damage is there; undefined where none is. */
export function damageMark(directory: string): string | undefined {
  const facts = statSync(join(directory, DAMAGED_NAME), { throwIfNoEntry: false })
  return facts && `${facts.ino} ${facts.mtimeMs}`
}

/** The fold was read whole, or written anew. */
export async function unmarkDamaged(directory: string): Promise<void> {
  await rm(join(directory, DAMAGED_NAME), { force: true })
}

/** Empty where the system does not say. */
async function bootId(): Promise<string> {
  return readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(() => '')
}

function checksumOf(text: string): string {
  const bytes = Buffer.from(text, 'latin1')
  return portableCrc32c(0, bytes, 0, bytes.length).toString(16).padStart(8, '0')
}
