/** A stretch of the file: `bytes[i]`, for `i` below `filled`, lies at position `offset + i`. Valid until the next `read`. */
export interface FileWindow {
  readonly bytes: Uint8Array
  /** `bytes` stay as they are for good, and whoever was given them may write to what the scan is past. */
  readonly given: boolean
  readonly offset: number
  readonly filled: number
}

/**
 * What recovery asks of whoever drives it. `read` is answered with a window that holds at least the
 * bytes asked for, which always lie inside the file. `turn` is a good moment to let others run.
 * `records` are valid until the next step; what they say counts from the next `commit` on, in
 * generation 2 at once.
 */
export type ScanStep =
  | { readonly kind: 'read'; readonly at: number; readonly length: number }
  | { readonly kind: 'turn' }
  | {
      readonly kind: 'records'
      /** The position they come from, for errors. */
      readonly at: number
      readonly bytes: Uint8Array
      /** As of the window they lie in. */
      readonly given: boolean
      readonly from: number
      readonly to: number
    }
  | {
      readonly kind: 'commit'
      /** Raw cursor bytes. */
      readonly cursor: Uint8Array
      readonly lineage: Uint8Array | undefined
      /** Where the next frame or record begins. */
      readonly end: number
    }

/**
 * Where the valid part of a log ends and why. `torn`: an unfinished last write begins at `at`.
 * `corrupt`: damage at `at`; `code` tells a failed checksum from bytes that cannot be read.
 */
export type ScanVerdict =
  | { readonly verdict: 'intact'; readonly at: number }
  | { readonly verdict: 'torn'; readonly at: number }
  | {
      readonly verdict: 'corrupt'
      readonly at: number
      readonly code: 'Corrupted' | 'InvalidFormat'
      readonly message: string
    }

/** Recovery as a pure function: the bytes it is given decide every step and the verdict. */
export type Scan = Generator<ScanStep, ScanVerdict, FileWindow>
