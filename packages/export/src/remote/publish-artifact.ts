import { randomUUID } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import {
  KvError,
  protocol,
  SnapshotError,
  type Binding,
  type ObjectStore,
  type PayloadFormat,
  type PublishInput,
  type PublishVerdict,
  type WaitOptions,
} from '@slip/kv-core'
import { refused } from '../artifact-error.ts'
import { PAYLOAD_DIRECTORY } from '../manifest.ts'
import { mustKeepConditions } from '../objects/probe-object-store.ts'
import { payloadFiles, readHead, type ArtifactHead } from '../open-artifact.ts'
import { PartsShipment } from '../parts/parts-shipment.ts'
import { payloadOf } from '../payload-formats.ts'
import { recordsPayload } from '../records/records-payload.ts'
import type { Progress } from '../seal-artifact.ts'
import { withStage } from '../stage.ts'
import { payloadArchive } from './payload-archive.ts'
import { payloadName, remoteNames, type RemoteNames } from './remote-names.ts'
import { positionOf, readPointer, type RemotePointer } from './remote-pointer.ts'
import { ArchiveShipment, type Shipment } from './shipment.ts'
import { backOff } from './transient.ts'

export interface PublishOptions extends WaitOptions {
  /**
   * What the bucket's source says of it now, as `KvWatcher.describe` does: with it a pointer of a history that is
   * over is replaced, and an artifact of one is refused. Called behind each read of the pointer.
   */
  readonly source?: (() => Promise<PublishInput['source']>) | undefined
  /**
   * What the fold of an interchange artifact was bound to (`onBinding` of its export), which that does not state: with a `source` it is
   * refused, as others are, when its history is over.
   */
  readonly binding?: Binding | undefined
  /** How payloads of other stores are read; those of @slip are found where they are installed. */
  readonly formats?: readonly PayloadFormat[] | undefined
  /** Where is written what changed in a payload of records. @default beside the artifact */
  readonly scratchDirectory?: string | undefined
  /** The bytes of the payload, or of those parts of it that are new, that were read and sent. */
  readonly onProgress?: Progress | undefined
}

export interface Published {
  /** `superseded`: the pointer names a newer artifact, and stays. */
  readonly outcome: 'published' | 'superseded'
  /** The objects' names. */
  readonly pointer: string
  readonly payload: string
  /** Of the payload's archive, and of its parts where it is in parts. */
  readonly bytes: number
  /** What was given to the transport: nothing where the payload was there already. */
  readonly sentBytes: number
  /** What had to be fetched to find out what changed. */
  readonly receivedBytes: number
}

const MOST_SWAPS = 8

/**
 * Publishes an artifact under a name: its payload once, under the hash of its manifest, and behind that the
 * pointer, unless that names a newer artifact. Readers find the one from before, or all of this one. Bytes
 * that are not those the manifest lists are never visible.
 *
 * SnapshotError `ArtifactInvalid` for an artifact that is damaged, or of a history that is over; `ForeignFold` when
 * the name has artifacts of another bucket, or of the other family (ours, interchange); `Busy` when
 * others move the pointer all the time. KvError `Unsupported` for a store that ignores conditions, or
 * what the transport says. `TypeError` for a name that is none.
 */
export async function publishArtifact(
  directory: string,
  to: ObjectStore,
  name: string,
  options: PublishOptions = {},
): Promise<Published> {
  const { signal, timeoutMs } = options
  signal?.throwIfAborted()
  const names = remoteNames(name)
  const head = await readHead(directory)
  const format = await payloadOf(head.manifest, options.formats ?? [])
  const payload = await payloadName(names, head.manifest.cursor, head.bytes)
  if (format.format !== recordsPayload) {
    const files = await payloadFiles(directory, head.manifest, format.names, options)
    const shipment = new ArchiveShipment(to, payload, payloadArchive(head, files), { signal, timeoutMs })
    return publishShipment(shipment, head, names, payload, to, options)
  }
  const [file] = await payloadFiles(directory, head.manifest, format.names, { signal })
  const place = join(options.scratchDirectory ?? dirname(resolve(directory)), `publish-${randomUUID()}`)
  return withStage(place, signal, async (scratch) => {
    const shipment = new PartsShipment({
      to,
      names,
      head,
      archive: payload,
      file: file!,
      directory: join(directory, PAYLOAD_DIRECTORY),
      scratch,
      wait: { signal, timeoutMs },
      onProgress: options.onProgress,
    })
    return publishShipment(shipment, head, names, payload, to, options)
  })
}

async function publishShipment(
  shipment: Shipment,
  head: ArtifactHead,
  names: RemoteNames,
  payload: string,
  to: ObjectStore,
  options: PublishOptions,
): Promise<Published> {
  const { signal, timeoutMs } = options
  const done = (outcome: Published['outcome']): Published => ({
    outcome,
    pointer: names.pointer,
    payload,
    bytes: shipment.bytes,
    sentBytes: shipment.sentBytes,
    receivedBytes: shipment.receivedBytes,
  })
  await mustKeepConditions(to, names.payloads, { signal, timeoutMs })
  const look = async (): Promise<{ pointer: RemotePointer | undefined; input: PublishInput }> => {
    const pointer = await readPointer(to, names.pointer, { signal, timeoutMs })
    return { pointer, input: await judged(head, pointer, options) }
  }
  const mayPublish = (input: PublishInput): boolean => mustOrder(protocol.publish(input), names.pointer)
  const first = await look()
  if (!mayPublish(first.input)) return done('superseded')
  await shipment.bring(first.pointer)
  for (let attempt = 0; attempt < MOST_SWAPS; attempt++) {
    const { pointer, input } = await look()
    if (!mayPublish(input)) return done('superseded')
    if (!(await shipment.fits(pointer))) {
      await shipment.bring(pointer)
      continue
    }
    await shipment.seal(pointer)
    if (await movePointer(to, names.pointer, head.bytes, pointer, { signal, timeoutMs })) {
      // Where only the source said that the pointer may go there, others may have pruned what it names now.
      if (protocol.publish({ ...input, source: undefined }) !== 'publish') {
        await shipment.bring(undefined)
        await shipment.seal(undefined)
      }
      return done('published')
    }
    await backOff(attempt, signal)
  }
  throw new SnapshotError('Busy', `others moved the pointer ${names.pointer} all the time`)
}

async function judged(
  { manifest }: ArtifactHead,
  pointer: RemotePointer | undefined,
  { source, binding }: PublishOptions,
): Promise<PublishInput> {
  const candidate = positionOf(manifest)
  const said = await source?.()
  const known = { ...candidate, binding: candidate.binding ?? binding }
  if (protocol.publish({ candidate: known, pointer: undefined, source: said }) === 'pastHistory')
    throw pastHistory()
  return { candidate, pointer: pointer?.manifest && positionOf(pointer.manifest), source: said }
}

function pastHistory(): Error {
  return refused('its bucket has begun another history, or never came as far')
}

/** Whether the pointer may be moved; throws where the two do not belong together. */
function mustOrder(verdict: PublishVerdict, pointer: string): boolean {
  if (verdict === 'publish' || verdict === 'superseded') return verdict === 'publish'
  if (verdict === 'otherBucket')
    throw new SnapshotError('ForeignFold', `${pointer} names an artifact of another bucket`)
  if (verdict === 'otherFamily')
    throw new SnapshotError(
      'ForeignFold',
      `${pointer} names an artifact of the other family: a name has ours, or interchange ones`,
    )
  if (verdict === 'pastHistory') throw pastHistory()
  throw refused(`whether its history or that of ${pointer} is the newer one cannot be told: give a source`)
}

/** false when somebody else moved it. */
async function movePointer(
  to: ObjectStore,
  name: string,
  bytes: Uint8Array,
  pointer: RemotePointer | undefined,
  wait: WaitOptions,
): Promise<boolean> {
  if (pointer !== undefined && Buffer.compare(pointer.bytes, bytes) === 0) return true
  const condition = pointer === undefined ? 'absent' : { etag: pointer.etag }
  try {
    return (await to.put(name, bytes, { ...wait, condition })) !== 'conflict'
  } catch (error) {
    // It may have been moved: the next look shows whose manifest it has.
    if (KvError.is(error) && ['OutcomeUnknown', 'Timeout'].includes(error.code)) return false
    throw error
  }
}
