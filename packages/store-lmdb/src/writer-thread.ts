import { closeSync, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { SnapshotError, WatchCursor } from '@slip/kv-core'
import { eachStep, PUT } from './batch-encoder.ts'
import { mostBytesOf, mustHaveRoom } from './disk-room.ts'
import {
  nativeError,
  openEnvironment,
  readLayers,
  readLineage,
  readState,
  type Environment,
} from './environment.ts'
import { checkFile, checkLockFile } from './file-check.ts'
import { FoldCut } from './fold-cut.ts'
import { markDoubtful } from './fold-directory.ts'
import { encodeLineageRow, encodeState, LINEAGE_KEY, STATE_KEY, type FoldState } from './fold-state.ts'
import { LayerWriter, type Counts } from './layer-writer.ts'
import type { LmdbDatabase, LmdbRoot } from './lmdb-js.js'
import { commit } from './newest-commit.ts'
import { toMessage, type WriterReply, type WriterRequest, type WriterStart } from './thread-protocol.ts'

const port = parentPort!
const start = workerData as WriterStart
const { file } = start
/** Pages a file may grow by, 16 MB, before readers that died are looked for: they keep pages from being used again. */
const LOOK_FOR_DEAD_AFTER_PAGES = 4_096
/** Of the file, beside the library's own. */
let descriptor = -1
/** How many pages the file had when dead readers were looked for. */
let lookedAtPages = 0
/** The count of the newest commit. */
let committed = 0n
/** Whether the fold was being hydrated in bulk when it was opened. */
let wasLayered = false
/** There once they are used. */
let layers: LayerWriter | undefined

try {
  if (!start.make) mustBeOurs(await checkFile(file, start.check, { named: true }))
  await checkLockFile(file)
  mustHaveRoom(file, 0)
  if (!start.make) await mustBeReadable()
  const environment = await openEnvironment(file, start)
  const epoch = await takeOver(environment)
  descriptor = openSync(file, 'r+')
  lookedAtPages = pagesOf(environment.root)
  port.on('message', (request: WriterRequest) => void answer(environment, epoch, request))
  answerWith({})
} catch (error) {
  port.postMessage({ failure: toMessage(nativeError(error, 'opening', file)) } satisfies WriterReply)
}

async function answer(environment: Environment, epoch: bigint, request: WriterRequest): Promise<void> {
  try {
    let cleared = 0
    if (request.what === 'apply') cleared = apply(environment, epoch, request)
    else if (request.what === 'seal') seal(environment, epoch)
    else if (request.what === 'mend') commit(environment, () => undefined)
    else if (request.what === 'clearReaders') cleared = environment.root.readerCheck()
    else await close(environment)
    if (request.what === 'apply') answerWith({ cleared, spare: request.steps.buffer })
    else answerWith({ cleared })
  } catch (error) {
    const failure = toMessage(nativeError(error, 'writing', file))
    port.postMessage({ failure } satisfies WriterReply)
  }
}

function answerWith(reply: WriterReply): void {
  port.postMessage(
    { ...reply, commit: committed } satisfies WriterReply,
    reply.spare === undefined ? [] : [reply.spare],
  )
}

/** What cannot be opened is left as it is, so it is read as the fold reads it, before anything is written. */
async function mustBeReadable(): Promise<void> {
  const environment = await openEnvironment(file, { ...start, reads: 'writableFile' })
  try {
    const cut = FoldCut.newest(environment, file, () => undefined, { show: true })
    try {
      readLineage(environment.meta, cut.options)
    } finally {
      cut.release()
    }
  } finally {
    await environment.root.close()
  }
}

/** A sync that failed here may have been for what others wrote: nobody is told of it again. */
async function takeOver(environment: Environment): Promise<bigint> {
  try {
    return raiseEpoch(environment)
  } catch (error) {
    const failure = nativeError(error, 'opening', file)
    if (start.synced && !start.make && failure.code === 'Io') await markDoubtful(dirname(file))
    throw failure
  }
}

/** So that a writer from before, paused and waking, finds that it has lost the fold. */
function raiseEpoch(environment: Environment): bigint {
  const { meta } = environment
  return commit(environment, () => {
    wasLayered = readLayers(meta) !== undefined
    const state = readState(meta)
    committed = state?.commit ?? 0n
    const epoch = (state?.epoch ?? 0n) + 1n
    const empty = {
      cursor: WatchCursor.none,
      foldId: start.foldId,
      commit: 0n,
      entries: 0,
      deletedKeys: 0,
    }
    must(meta.putSync(STATE_KEY, encodeState({ ...(state ?? empty), epoch })))
    return epoch
  })
}

async function close({ root }: Environment): Promise<void> {
  closeSync(descriptor)
  await root.close()
}

/** How many slots of dead readers it gave back. */
function apply(
  environment: Environment,
  epoch: bigint,
  request: Extract<WriterRequest, { what: 'apply' }>,
): number {
  const { root, meta } = environment
  mustHaveRoom(file, mostBytesOf(request.steps))
  if (wasLayered || request.layered) layers ??= layersOf(environment, epoch)
  // Before the batch, so that a failure leaves it out.
  if (layers?.isFull === true) seal(environment, epoch)
  commit(environment, () => {
    const before = mustBeOwn(meta, epoch)
    const counts = { entries: before.entries, deletedKeys: before.deletedKeys }
    if (layers === undefined) put(environment, request.steps, counts)
    else layers.add(request.steps, counts)
    const cursor = WatchCursor.fromBytes(request.cursor)
    const state = { ...before, cursor, ...counts }
    if (request.lineage !== undefined) must(meta.putSync(LINEAGE_KEY, encodeLineageRow(request.lineage)))
    record(meta, state)
  })
  const pages = pagesOf(root)
  fillUp(root, pages)
  if (pages - lookedAtPages < LOOK_FOR_DEAD_AFTER_PAGES) return 0
  lookedAtPages = pages
  return root.readerCheck()
}

function pagesOf({ env }: LmdbRoot): number {
  return env.info().lastPageNumber + 1
}

function put({ data, deleted }: Environment, steps: Uint8Array, counts: Counts): void {
  eachStep(steps, ({ what, keyFrom, keyTo, to }) => {
    const key = steps.subarray(keyFrom, keyTo)
    const record = steps.subarray(keyTo, to)
    if (what === PUT) {
      if (data.getBinaryFast(key) === undefined) counts.entries++
      if (counts.deletedKeys > 0 && deleted.removeSync(key)) counts.deletedKeys--
      must(data.putSync(key, record))
    } else {
      if (data.removeSync(key)) counts.entries--
      if (deleted.getBinaryFast(key) === undefined) counts.deletedKeys++
      must(deleted.putSync(key, record))
    }
  })
}

function layersOf(environment: Environment, epoch: bigint): LayerWriter {
  const { meta } = environment
  return commit(environment, () =>
    LayerWriter.open(environment, readLayers(meta), mustBeOwn(meta, epoch), start.runBytes),
  )
}

function seal(environment: Environment, epoch: bigint): void {
  if (wasLayered) layers ??= layersOf(environment, epoch)
  const { meta } = environment
  const guard = (): void => void mustBeOwn(meta, epoch)
  if (layers === undefined) commit(environment, guard)
  else {
    mustHaveRoom(file, 2 * layers.bytes)
    layers.seal(guard, () => record(meta, mustBeOwn(meta, epoch)))
  }
  fillUp(environment.root, pagesOf(environment.root))
}

/** What the fold is with this commit. */
function record(meta: LmdbDatabase, state: FoldState): void {
  committed = state.commit + 1n
  must(meta.putSync(STATE_KEY, encodeState({ ...state, commit: committed })))
}

/** The state, which must be one that this writer left. */
function mustBeOwn(meta: LmdbDatabase, epoch: bigint): FoldState {
  const state = readState(meta)
  if (state === undefined) throw new SnapshotError('Corrupted', `${file} has no state`, { path: file })
  if (state.epoch !== epoch)
    throw new SnapshotError('Busy', `${file} was taken over by another writer`, { path: file })
  return state
}

/**
 * A commit that frees its own last pages leaves the file shorter than its meta page says, which is
 * legal but looks like a truncation: the file gets the missing zeros.
 */
function fillUp({ env }: LmdbRoot, pages: number): void {
  const needed = pages * env.stat().pageSize
  if (fstatSync(descriptor).size < needed) ftruncateSync(descriptor, needed)
}

function mustBeOurs({ foldId }: FoldState): void {
  if (Buffer.compare(foldId, start.foldId) !== 0)
    throw new SnapshotError('ForeignFold', `${file} belongs to another fold`, { path: file })
}

function must(stored: boolean): void {
  if (!stored) throw new SnapshotError('Backend', `${file} did not take a record`, { path: file })
}
