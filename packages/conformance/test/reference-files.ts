import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import type { FileFault, JudgeFileCall } from '@slip/conformance'

/** What the reference store does to its files, its lock aside. */
export interface ReferenceFiles {
  readonly open: (path: string, flags: number) => Promise<FileHandle>
  readonly rename: (from: string, to: string) => Promise<void>
  readonly rm: (path: string, options: { readonly force: boolean }) => Promise<void>
}

export const nodeFiles: ReferenceFiles = { open, rename, rm }

/** The real files, where `judge` is asked before each call. */
export function judgedFiles(judge: JudgeFileCall): ReferenceFiles {
  const asked = (call: string, path: string): void => refuse(judge({ call, path }), call)
  return {
    open: async (path, flags) => {
      asked('open', path)
      return judgedHandle(await open(path, flags), path, judge)
    },
    rename: async (from, to) => {
      asked('rename', from)
      await rename(from, to)
    },
    rm: async (path, options) => {
      asked('unlink', path)
      await rm(path, options)
    },
  }
}

function judgedHandle(handle: FileHandle, path: string, judge: JudgeFileCall): FileHandle {
  return new Proxy(handle, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return async (...args: unknown[]): Promise<unknown> => {
        const fault = judge({ call: String(name), path })
        if (fault !== undefined && 'takes' in fault) args[2] = Math.min(Number(args[2]), fault.takes)
        // A full disk takes what still fits.
        else if (fault !== undefined && name === 'write') {
          const [buffer, offset, length, position] = args as [Uint8Array, number, number, number]
          await target.write(buffer, offset, length >> 1, position)
        }
        if (fault !== undefined && name === 'close') await target.close()
        refuse(fault, String(name))
        return (member as (...args: unknown[]) => Promise<unknown>).apply(target, args)
      }
    },
  })
}

function refuse(fault: FileFault | undefined, call: string): void {
  if (fault !== undefined && 'code' in fault)
    throw Object.assign(new Error(`${fault.code}: ${call}`), { code: fault.code })
}
