import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { LmdbReader, LmdbSnapshot } from '@slip/store-lmdb'
import { expect, test } from 'vitest'
import { at, put, scratch } from './scratch.ts'

const HOLDER = fileURLToPath(new URL('holder-child.mjs', import.meta.url))
const REOPEN_MS = Number(process.env['SLIP_READ_MS'] ?? 3_000)
const isGlibcOnX64 =
  process.platform === 'linux' &&
  process.arch === 'x64' &&
  'glibcVersionRuntime' in (process.report.getReport() as unknown as { readonly header: object }).header

class Holder {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  private constructor(path: string, file: string) {
    this.#child = spawn(process.execPath, [HOLDER, path, file], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
  }

  /** A process that has the fold open. */
  static async of(path: string): Promise<Holder> {
    const [, , name] = (await readFile(join(path, 'CURRENT'), 'latin1')).split(' ')
    const holder = new Holder(path, join(path, name!))
    expect(await holder.#said()).toBe('open')
    return holder
  }

  async ask(what: string): Promise<string> {
    this.#child.stdin!.write(`${what}\n`)
    return this.#said()
  }

  async end(): Promise<void> {
    const gone = once(this.#child, 'exit')
    this.#child.stdin!.end()
    await gone
  }

  async #said(): Promise<string> {
    const next = await this.#lines.next()
    return next.done === true ? 'it ended' : next.value
  }
}

test.runIf(isGlibcOnX64)(
  'who opens a fold whose locks somebody ended is in once they can be made anew',
  async () => {
    const path = join(await scratch(), 'fold')
    const store = await LmdbSnapshot.open({ path, durability: 'os' })
    await store.apply([put('a', '1', 1)], at(1))
    await store.close()
    for (const kind of [LmdbReader, LmdbSnapshot]) {
      const holder = await Holder.of(path)
      expect(await holder.ask('end')).toBe('end')
      const opening = kind.open({ path, durability: 'os' })
      expect(await Promise.race([opening, delay(200, 'waits')])).toBe('waits')
      expect(await holder.ask('close')).toBe('close')
      const opened = await opening
      expect([opened.cursor, opened.get('a')?.key]).toEqual([at(1), 'a'])
      await opened.close()
      await holder.end()
    }
  },
  60_000,
)

test(
  'a writer that is opened again and again beside readers that come and go is always let in, and so are they',
  async () => {
    const path = join(await scratch(), 'fold')
    let store = await LmdbSnapshot.open({ path, durability: 'os' })
    await store.apply([put('a', '1', 1)], at(1))
    const holders = await Promise.all([Holder.of(path), Holder.of(path)])
    const said = Promise.all(holders.map(async (holder) => holder.ask(`come-and-go ${REOPEN_MS}`)))
    let revision = 1
    for (const until = performance.now() + REOPEN_MS; performance.now() < until;) {
      revision++
      await store.apply([put('a', `${revision}`, revision)], at(revision))
      await store.close()
      store = await LmdbSnapshot.open({ path, durability: 'os' })
      expect(store.cursor).toEqual(at(revision))
    }
    for (const line of await said) expect(line).toMatch(/^opened [1-9]\d*$/)
    await store.close()
    for (const holder of holders) await holder.end()
  },
  60_000 + REOPEN_MS,
)
