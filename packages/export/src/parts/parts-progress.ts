import type { DownloadProgress } from '../remote/download-artifact.ts'
import type { RemoteStream } from '../remote/remote-stream.ts'

/** Counts the bytes of parts that are here, and those of them that came over the link. */
export class PartsProgress {
  readonly #totalBytes: number
  readonly #report: DownloadProgress | undefined
  #bytes = 0
  #received: number
  #stream: RemoteStream | undefined

  constructor(totalBytes: number, received: number, report: DownloadProgress | undefined) {
    this.#totalBytes = totalBytes
    this.#received = received
    this.#report = report
  }

  /** Bytes that are here, after they came over `stream` or were here before. */
  has(bytes: number): void {
    this.#bytes += bytes
    this.#report?.({
      bytes: this.#bytes,
      totalBytes: this.#totalBytes,
      receivedBytes: this.#received + (this.#stream?.received ?? 0),
    })
  }

  /** Counts what comes over a stream until it is closed. */
  from(stream: RemoteStream): void {
    this.#stream = stream
  }

  close(stream: RemoteStream): void {
    this.#received += stream.received
    this.#stream = undefined
    stream.close()
  }
}
