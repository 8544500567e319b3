import type { ObjectStore, WaitOptions } from '@slip/kv-core'
import { isThere } from '../parts/part-files.ts'
import type { PayloadArchive } from './payload-archive.ts'
import type { RemotePointer } from './remote-pointer.ts'

/** The payload of an artifact on its way to a store. */
export interface Shipment {
  /** What is in the store when it was brought. */
  readonly bytes: number
  /** What was given to the transport so far. */
  readonly sentBytes: number
  /** What had to be fetched to find out what to send. */
  readonly receivedBytes: number
  /** Brings what is not there; `pointer` names what it may be laid upon. */
  bring(pointer: RemotePointer | undefined): Promise<void>
  /** Whether what was brought still resolves when the pointer is moved from this one. */
  fits(pointer: RemotePointer | undefined): Promise<boolean>
  /** Makes what was brought be found by who follows the pointer, once it is moved from this one. */
  seal(pointer: RemotePointer | undefined): Promise<void>
}

/** A whole payload in one archive. */
export class ArchiveShipment implements Shipment {
  readonly #to: ObjectStore
  readonly #name: string
  readonly #archive: PayloadArchive
  readonly #wait: WaitOptions
  readonly receivedBytes = 0
  sentBytes = 0

  constructor(to: ObjectStore, name: string, archive: PayloadArchive, wait: WaitOptions) {
    this.#to = to
    this.#name = name
    this.#archive = archive
    this.#wait = wait
  }

  get bytes(): number {
    return this.#archive.bytes
  }

  async bring(): Promise<void> {
    if (await isThere(this.#to, this.#name, this.#wait)) return
    await this.#to.put(this.#name, this.#counted(), { ...this.#wait, condition: 'absent' })
  }

  async fits(): Promise<boolean> {
    return true
  }

  /** It is found by its name as soon as it is there. */
  async seal(): Promise<void> {}

  async *#counted(): AsyncGenerator<Uint8Array> {
    for await (const piece of this.#archive.read()) {
      this.sentBytes += piece.length
      yield piece
    }
  }
}
