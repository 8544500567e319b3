import type { WaitOptions } from './source.ts'

/** What a transport of artifacts must be. Names are `/`-separated. */
export interface ObjectStore {
  readonly capabilities: {
    readonly createOnly: boolean
    readonly compareAndSwap: boolean
    readonly rangeReads: boolean
  }
  get(
    name: string,
    options?: WaitOptions & { readonly range?: { readonly start: number; readonly length: number } },
  ): Promise<
    { readonly body: AsyncIterable<Uint8Array>; readonly size: number; readonly etag: string } | undefined
  >
  /**
   * `conflict` when the condition did not hold. A store that ignores conditions says so in
   * `capabilities` and is refused for pointers.
   */
  put(
    name: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: WaitOptions & { readonly condition?: 'absent' | { readonly etag: string } },
  ): Promise<{ readonly etag: string } | 'conflict'>
  list(
    prefix: string,
    options?: WaitOptions,
  ): AsyncIterable<{ readonly name: string; readonly size: number; readonly modifiedMs: number }>
  delete(name: string, options?: WaitOptions): Promise<void>
  close?(): Promise<void>
}
