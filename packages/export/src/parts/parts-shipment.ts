import { protocol, SnapshotError, type ObjectStore, type PayloadFile, type WaitOptions } from '@slip/kv-core'
import { collect } from '../objects/object-body.ts'
import type { ArtifactHead } from '../open-artifact.ts'
import { recordsPayload } from '../records/records-payload.ts'
import { payloadArchive } from '../remote/payload-archive.ts'
import { payloadName, type RemoteNames } from '../remote/remote-names.ts'
import { positionOf, type RemotePointer } from '../remote/remote-pointer.ts'
import type { Shipment } from '../remote/shipment.ts'
import type { Progress } from '../seal-artifact.ts'
import { fetchKnown } from './known-payload.ts'
import { asBase, asLayer, type LaidPayload, type OwnPayload } from './lay-payload.ts'
import { layersKept } from './layer-plan.ts'
import { isThere, readPart, type LocalPart } from './part-files.ts'
import {
  encodePartList,
  listedIn,
  listedTwice,
  PARTS_FILE,
  partsOf,
  sizeOf,
  statesOf,
  type PartList,
} from './part-list.ts'
import { partPrefix } from './part-name.ts'
import { listInArchive, readPartsArchive } from './parts-archive.ts'

const MOST_REPLACEMENTS = 4
const MOST_ARCHIVE_BYTES = 4 * 1024 * 1024

export interface PartsShipmentOptions {
  readonly to: ObjectStore
  readonly names: RemoteNames
  readonly head: ArtifactHead
  /** Of the archive with the list. */
  readonly archive: string
  readonly file: PayloadFile
  /** Where the payload's file is. */
  readonly directory: string
  /** An empty directory of our own. */
  readonly scratch: string
  readonly wait: WaitOptions
  readonly onProgress: Progress | undefined
}

interface FoundArchive {
  readonly etag: string
  readonly isSame: boolean
  /** undefined when it cannot be read. */
  readonly list: PartList | undefined
}

/**
 * A payload of records on its way: of the artifact that the pointer names its parts are taken over, and only what changed
 * since is sent. Parts come first, then, when the pointer was looked at again, the archive that lists them, so that
 * whoever finds the list finds the parts.
 */
export class PartsShipment implements Shipment {
  readonly #options: PartsShipmentOptions
  readonly #payload: OwnPayload
  #laid: LaidPayload | undefined
  #archiveBytes = 0
  /** The list of the pointer that was looked at last. */
  #seen: { readonly etag: string; readonly list: PartList | undefined } | undefined
  sentBytes = 0
  receivedBytes = 0

  constructor(options: PartsShipmentOptions) {
    const { head, file, directory } = options
    this.#options = options
    this.#payload = {
      file,
      directory,
      digest: head.manifest.files[0]!.blake3,
      prefix: partPrefix(head.manifest.cursor, head.manifest.binding),
    }
  }

  get bytes(): number {
    if (this.#laid === undefined) return this.#payload.file.size
    const { base, index, layers } = this.#laid.list
    return sizeOf([...base.pieces, index, ...layers]) + this.#archiveBytes
  }

  async bring(pointer: RemotePointer | undefined): Promise<void> {
    await this.#bring(await this.#lay(pointer))
  }

  async fits(pointer: RemotePointer | undefined): Promise<boolean> {
    if (this.#isOwn(pointer)) return true
    const seen = await this.#listOf(pointer)
    const inherited = this.#takenOver(this.#laid!.list)
    return protocol.inheritsParts({ inherited, pointer: seen && partsOf(seen) })
  }

  async seal(pointer: RemotePointer | undefined): Promise<void> {
    const { to, archive, wait, scratch } = this.#options
    for (let attempt = 0; attempt < MOST_REPLACEMENTS; attempt++) {
      const { list } = this.#laid!
      const own = await this.#archiveOf(list)
      this.#archiveBytes = own.length
      const found = await this.#found(own)
      const verdict = protocol.sealParts({
        found: found && {
          isSame: found.isSame,
          takesOver: found.list === undefined || this.#takesOver(found.list),
        },
        takesOver: this.#takesOver(list),
        isTarget: found?.list !== undefined && this.#isOwn(pointer),
      })
      if (verdict === 'keep') {
        this.#laid = { list: found?.list ?? list, own: [] }
        return
      }
      if (verdict === 'rebase') {
        await this.#bring(await asBase(this.#payload, scratch, wait.signal))
        continue
      }
      const kept = found?.list === undefined ? [] : listedIn(found.list)
      const bytes = await this.#archiveOf({ ...list, kept })
      const condition = found === undefined ? 'absent' : { etag: found.etag }
      if ((await to.put(archive, bytes, { ...wait, condition })) !== 'conflict') {
        this.sentBytes += bytes.length
        this.#archiveBytes = bytes.length
        return
      }
    }
    throw new SnapshotError('Busy', `others replaced ${archive} all the time`)
  }

  async #bring(laid: LaidPayload): Promise<void> {
    this.#laid = laid
    const totalBytes = sizeOf(laid.own)
    let bytes = 0
    for (const part of laid.own) {
      const before = bytes
      await this.#put(part, (length) => {
        bytes += length
        this.#options.onProgress?.({ bytes, totalBytes })
      })
      bytes = before + part.size
    }
  }

  /** What is there in the place of the archive. */
  async #found(own: Uint8Array): Promise<FoundArchive | undefined> {
    const { to, head, archive, wait } = this.#options
    const there = await to.get(archive, wait)
    if (there === undefined) return undefined
    const bytes = await collect(there.body, MOST_ARCHIVE_BYTES)
    if (bytes !== undefined && Buffer.compare(bytes, own) === 0)
      return { etag: there.etag, isSame: true, list: this.#laid!.list }
    try {
      const read = await readPartsArchive(to, archive, head.bytes, wait)
      return read && { etag: read.etag, isSame: false, list: read.list }
    } catch (error) {
      if (!SnapshotError.is(error) || error.code !== 'ArtifactInvalid') throw error
      return { etag: there.etag, isSame: false, list: undefined }
    }
  }

  async #archiveOf(list: PartList): Promise<Uint8Array> {
    const made = payloadArchive(this.#options.head, [], [[PARTS_FILE, encodePartList(list)]])
    return (await collect(made.read(), MOST_ARCHIVE_BYTES))!
  }

  /** Names of the parts that somebody may prune before this artifact is published, or after: those put for others. */
  #takenOver(list: PartList): readonly string[] {
    return partsOf(list).filter((part) => !part.startsWith(`${this.#payload.prefix}-`))
  }

  #takesOver(list: PartList): boolean {
    return this.#takenOver(list).length > 0
  }

  #isOwn(pointer: RemotePointer | undefined): boolean {
    return pointer !== undefined && Buffer.compare(pointer.bytes, this.#options.head.bytes) === 0
  }

  async #lay(pointer: RemotePointer | undefined): Promise<LaidPayload> {
    const { scratch, wait, head } = this.#options
    const { signal } = wait
    const list = await this.#listOf(pointer)
    if (list !== undefined && statesOf(list).at(-1) === this.#payload.digest)
      return { list: { ...list, kept: [] }, own: [] }
    // What only the source's word puts below this artifact may be pruned by others.
    const order = pointer?.manifest && {
      candidate: positionOf(head.manifest),
      pointer: positionOf(pointer.manifest),
      source: undefined,
    }
    const laid =
      list === undefined || order === undefined || protocol.publish(order) !== 'publish'
        ? undefined
        : await this.#layUpon(list)
    return laid ?? asBase(this.#payload, scratch, signal)
  }

  async #layUpon(list: PartList): Promise<LaidPayload | undefined> {
    const { to, names, scratch, wait } = this.#options
    const kept = layersKept({
      base: sizeOf(list.base.pieces),
      layers: list.layers.map(({ size }) => size),
      payload: this.#payload.file.size,
    })
    if (kept === undefined) return undefined
    const below: PartList = { ...list, layers: list.layers.slice(0, kept), kept: [] }
    const known = await fetchKnown(to, names.parts, below, scratch, wait, (bytes) => {
      this.receivedBytes += bytes
    })
    const laid = known && (await asLayer(this.#payload, below, known, scratch, wait.signal))
    // Nodes that stand at one position in turns make the same layer again.
    return laid === undefined || listedTwice(laid.list) !== undefined ? undefined : laid
  }

  async #listOf(pointer: RemotePointer | undefined): Promise<PartList | undefined> {
    if (pointer?.manifest?.backend !== recordsPayload.backend) return undefined
    if (this.#seen?.etag === pointer.etag) return this.#seen.list
    const { to, names, wait } = this.#options
    const name = await payloadName(names, pointer.manifest.cursor, pointer.bytes)
    const list = await listInArchive(to, name, wait)
    this.#seen = { etag: pointer.etag, list }
    return list
  }

  async #put(part: LocalPart, onBytes: (length: number) => void): Promise<void> {
    const { to, names, wait } = this.#options
    const name = names.parts + part.part
    if (await isThere(to, name, wait)) return
    const counted = async function* (this: PartsShipment): AsyncGenerator<Uint8Array> {
      for await (const bytes of readPart(part, wait)) {
        this.sentBytes += bytes.length
        onBytes(bytes.length)
        yield bytes
      }
    }
    await to.put(name, counted.call(this), { ...wait, condition: 'absent' })
  }
}
