import {
  KvError,
  protocol,
  SnapshotError,
  type ObjectStore,
  type PayloadFormat,
  type PublishInput,
  type PublishVerdict,
  type WaitOptions,
} from '@slip/kv-core'
import { refused } from '../artifact-error.ts'
import { mustKeepConditions } from '../objects/probe-object-store.ts'
import { payloadFiles, readHead, type ArtifactHead } from '../open-artifact.ts'
import { payloadOf } from '../payload-formats.ts'
import type { Progress } from '../seal-artifact.ts'
import { payloadArchive, type PayloadArchive } from './payload-archive.ts'
import { payloadName, remoteNames } from './remote-names.ts'
import { positionOf, readPointer, type RemotePointer } from './remote-pointer.ts'
import { backOff } from './transient.ts'

export interface PublishOptions extends WaitOptions {
  /**
   * What the bucket's source says of it now, as `KvWatcher.describe` does: with it a pointer of a history that is
   * over is replaced, and an artifact of one is refused. Called behind each read of the pointer.
   */
  readonly source?: (() => Promise<PublishInput['source']>) | undefined
  /** How payloads of other stores are read; those of @slip are found where they are installed. */
  readonly formats?: readonly PayloadFormat[] | undefined
  /** The bytes of the payload that were read and sent. */
  readonly onProgress?: Progress | undefined
}

export interface Published {
  /** `superseded`: the pointer names a newer artifact, and stays. */
  readonly outcome: 'published' | 'superseded'
  /** The objects' names. */
  readonly pointer: string
  readonly payload: string
  /** Of the payload's archive. */
  readonly bytes: number
  /** What was given to the transport: nothing where the payload was there already. */
  readonly sentBytes: number
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
  const archive = payloadArchive(head, await payloadFiles(directory, head.manifest, format.names, options))
  const payload = await payloadName(names, head.manifest.cursor, head.bytes)
  const upload = new Upload(to, payload, archive, { signal, timeoutMs })
  const done = (outcome: Published['outcome']): Published => ({
    outcome,
    pointer: names.pointer,
    payload,
    bytes: archive.bytes,
    sentBytes: upload.sentBytes,
  })
  await mustKeepConditions(to, names.payloads, { signal, timeoutMs })
  const look = async (): Promise<{ pointer: RemotePointer | undefined; input: PublishInput }> => {
    const pointer = await readPointer(to, names.pointer, { signal, timeoutMs })
    return { pointer, input: await judged(head, pointer, options) }
  }
  const mayPublish = (input: PublishInput): boolean => mustOrder(protocol.publish(input), names.pointer)
  if (!mayPublish((await look()).input)) return done('superseded')
  await upload.run()
  for (let attempt = 0; attempt < MOST_SWAPS; attempt++) {
    const { pointer, input } = await look()
    if (!mayPublish(input)) return done('superseded')
    if (await movePointer(to, names.pointer, head.bytes, pointer, { signal, timeoutMs })) {
      // Where only the source said that the pointer may go there, others may have pruned what it names now.
      if (protocol.publish({ ...input, source: undefined }) !== 'publish') await upload.run()
      return done('published')
    }
    await backOff(attempt, signal)
  }
  throw new SnapshotError('Busy', `others moved the pointer ${names.pointer} all the time`)
}

async function judged(
  { manifest }: ArtifactHead,
  pointer: RemotePointer | undefined,
  { source }: PublishOptions,
): Promise<PublishInput> {
  return {
    candidate: positionOf(manifest),
    pointer: pointer?.manifest && positionOf(pointer.manifest),
    source: await source?.(),
  }
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
  throw refused(
    verdict === 'pastHistory'
      ? 'its bucket has begun another history, or never came as far'
      : `whether its history or that of ${pointer} is the newer one cannot be told: give a source`,
  )
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

/** The payload on its way, as often as it has to be. */
class Upload {
  readonly #to: ObjectStore
  readonly #name: string
  readonly #archive: PayloadArchive
  readonly #wait: WaitOptions
  sentBytes = 0

  constructor(to: ObjectStore, name: string, archive: PayloadArchive, wait: WaitOptions) {
    this.#to = to
    this.#name = name
    this.#archive = archive
    this.#wait = wait
  }

  /** Nothing when it is there already. */
  async run(): Promise<void> {
    const there = await this.#to.get(this.#name, { ...this.#wait, range: { start: 0, length: 1 } })
    await there?.body[Symbol.asyncIterator]().return?.()
    if (there !== undefined) return
    await this.#to.put(this.#name, this.#counted(), { ...this.#wait, condition: 'absent' })
  }

  async *#counted(): AsyncGenerator<Uint8Array> {
    for await (const piece of this.#archive.read()) {
      this.sentBytes += piece.length
      yield piece
    }
  }
}
