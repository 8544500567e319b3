import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test } from 'vitest'
import { AppendLogReader } from '../src/append-log-reader.ts'
import { AppendLogSnapshot } from '../src/append-log-snapshot.ts'
import {
  describeSelf,
  judgeHolder,
  nodeFileSystem,
  WriterLock,
  type FileSystem,
  type LockHolder,
} from '@slip/kv-core/store-parts'
import { at, put, scratch } from './scratch.ts'

const CHILD = fileURLToPath(new URL('lock-child.mjs', import.meta.url))
const started: ChildProcess[] = []

afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
})

function child(...args: string[]): ChildProcess {
  const process_ = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  started.push(process_)
  return process_
}

async function holder(path: string): Promise<ChildProcess> {
  const process_ = child('hold', path)
  await once(process_.stdout!, 'data')
  return process_
}

test('a second opener in this process and in a worker is Busy, and is told who has the log', async () => {
  const path = join(await scratch(), 'log')
  const store = await AppendLogSnapshot.open({ path })
  const refusal = {
    code: 'Busy',
    path,
    message: expect.stringContaining(`process ${process.pid} on ${hostname()}`) as string,
  }
  await expect(AppendLogSnapshot.open({ path })).rejects.toMatchObject(refusal)
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads')
     import(workerData.module).then(({ AppendLogSnapshot }) => AppendLogSnapshot.open({ path: workerData.path }))
       .then(() => parentPort.postMessage('opened'), (error) => parentPort.postMessage(error.code))`,
    {
      eval: true,
      workerData: { path, module: new URL('../dist/index.js', import.meta.url).href },
    },
  )
  expect(await once(worker, 'message')).toEqual(['Busy'])
  await worker.terminate()
  await store.apply([put('a', 'v', 1)], at(1))
  await store.close()
  await (await AppendLogSnapshot.open({ path })).close()
  expect(await readdir(join(path, '..')), 'nothing is left').toEqual(['log'])
})

test('a holder in another process is named; after kill -9 the next opener starts at once', async () => {
  const path = join(await scratch(), 'log')
  const other = await holder(path)
  await expect(AppendLogSnapshot.open({ path })).rejects.toMatchObject({
    code: 'Busy',
    message: expect.stringContaining(`process ${other.pid} on ${hostname()}`) as string,
  })
  expect((await AppendLogReader.open({ path })).holder).toEqual({ pid: other.pid, host: hostname() })
  other.kill('SIGKILL')
  await once(other, 'exit')
  expect((await AppendLogReader.open({ path })).holder).toBeUndefined()
  const from = performance.now()
  const store = await AppendLogSnapshot.open({ path })
  expect(performance.now() - from).toBeLessThan(3_000)
  await store.close()
})

test('waitLockMs waits for the holder, and no longer than that', async () => {
  const path = join(await scratch(), 'log')
  const first = await AppendLogSnapshot.open({ path })
  const from = performance.now()
  await expect(AppendLogSnapshot.open({ path, waitLockMs: 200 })).rejects.toMatchObject({ code: 'Busy' })
  expect(performance.now() - from).toBeGreaterThanOrEqual(190)
  const waiting = AppendLogSnapshot.open({ path, waitLockMs: 20_000 })
  await sleep(50)
  await first.close()
  await (await waiting).close()
  const held = await AppendLogSnapshot.open({ path })
  const reason = new Error('enough')
  const abort = new AbortController()
  const aborted = AppendLogSnapshot.open({ path, waitLockMs: 20_000, signal: abort.signal })
  setTimeout(() => abort.abort(reason), 30)
  await expect(aborted).rejects.toBe(reason)
  await held.close()
})

test('processes that race for a lock whose holders die never hold it together', async () => {
  const directory = await scratch()
  const path = join(directory, 'log')
  const ledger = join(directory, 'ledger')
  await writeFile(ledger, '')
  const racers = Array.from({ length: 8 }, () => child('race', path, ledger, '6'))
  await Promise.all(racers.map(async (racer) => once(racer, 'exit')))
  const lines = (await readFile(ledger, 'utf8')).trim().split('\n')
  expect(lines).toHaveLength(8 * 6 * 2)
  for (let i = 0; i < lines.length; i += 2) {
    expect(lines[i]![0]).toBe('+')
    expect(lines[i + 1]).toBe(`-${lines[i]!.slice(1)}`)
  }
  await (await AppendLogSnapshot.open({ path })).close()
})

test('a lock whose draft somebody removes, as one whose clock is ahead does, is taken all the same', async () => {
  const directory = await scratch()
  let removed = 0
  const files: FileSystem = {
    ...nodeFileSystem,
    link: async (from, to) => {
      if (removed++ < 2) await unlink(from)
      await nodeFileSystem.link(from, to)
    },
  }
  const lock = await WriterLock.take(files, join(directory, 'stage'))
  expect(removed).toBe(3)
  expect(await lock.stillHeld()).toBe(true)
  expect(await readdir(directory)).toEqual(['stage.lock'])
  await lock.release()
  expect(await readdir(directory)).toEqual([])
})

test('a lock of a dead process that others remove as it is taken over is taken over all the same', async () => {
  const directory = await scratch()
  let removed = 0
  const files: FileSystem = {
    ...nodeFileSystem,
    rename: async (from, to) => {
      await nodeFileSystem.rename(from, to)
      removed++
      await unlink(to)
    },
  }
  await writeFile(join(directory, 'stage.lock'), '{}')
  const lock = await WriterLock.take(files, join(directory, 'stage'))
  expect([removed, await lock.stillHeld()]).toEqual([1, true])
  await lock.release()
  expect(await readdir(directory)).toEqual([])
})

test('drafts of locks that are removed all the time are an error, and no file stays open', async () => {
  const directory = await scratch()
  const open = new Set<unknown>()
  const files: FileSystem = {
    ...nodeFileSystem,
    open: async (path, mode) => {
      const handle = await nodeFileSystem.open(path, mode)
      open.add(handle)
      const close = handle.close.bind(handle)
      handle.close = async () => {
        open.delete(handle)
        await close()
      }
      return handle
    },
    link: async (from, to) => {
      await unlink(from)
      await nodeFileSystem.link(from, to)
    },
  }
  await expect(WriterLock.take(files, join(directory, 'stage'))).rejects.toMatchObject({ code: 'ENOENT' })
  expect(open.size).toBe(0)
})

test('the file is 0600 and a directory made for it 0700', async () => {
  const directory = join(await scratch(), 'made', 'here')
  const store = await AppendLogSnapshot.open({ path: join(directory, 'log') })
  await store.compact()
  await store.close()
  expect((await stat(directory)).mode & 0o777).toBe(0o700)
  expect((await stat(join(directory, 'log'))).mode & 0o777).toBe(0o600)
})

test('a writer whose lock was taken over writes no more', async () => {
  const path = join(await scratch(), 'log')
  const store = await AppendLogSnapshot.open({ path })
  await store.apply([put('a', 'v', 1)], at(1))
  await writeFile(`${path}.lock.new`, '{}')
  const { rename } = await import('node:fs/promises')
  await rename(`${path}.lock.new`, `${path}.lock`)
  await expect
    .poll(
      async () =>
        store.apply([], at(2)).then(
          () => 'went on',
          (error: { code: string }) => error.code,
        ),
      { timeout: 10_000, interval: 200 },
    )
    .toBe('Busy')
  await store.close()
})

describe('a holder seen from elsewhere', async () => {
  const self: LockHolder = {
    pid: 100,
    host: 'here',
    nonce: 'n',
    bootId: 'b',
    startTime: '5',
    pidNamespace: 'p',
    networkNamespace: 'net',
  }
  const gone = { startTime: undefined, signalled: false }
  const other: LockHolder = { ...self, pid: 7, startTime: '3' }
  const foreignNet: LockHolder = { ...other, networkNamespace: 'other' }
  test.each<[string, LockHolder, Parameters<typeof judgeHolder>[2], boolean, string]>([
    ['had the socket this opener has', other, { startTime: '3', signalled: true }, true, 'dead'],
    ['runs, in another network namespace', foreignNet, { startTime: '3', signalled: true }, true, 'alive'],
    ['is gone, its process id unused', foreignNet, gone, true, 'dead'],
    ['is gone, its process id used again', foreignNet, { startTime: '9', signalled: true }, true, 'dead'],
    ['is in another container', { ...foreignNet, pidNamespace: 'q' }, gone, true, 'unknown'],
    ['is of an earlier boot', { ...other, bootId: 'a' }, { startTime: '3', signalled: true }, true, 'dead'],
    ['is of another machine', { ...other, bootId: 'a', host: 'there' }, gone, true, 'unknown'],
    ['runs, asked by a reader', other, { startTime: '3', signalled: true }, false, 'alive'],
    ['is gone, asked by a reader', other, gone, false, 'dead'],
    [
      'has no /proc and runs',
      { pid: 7, host: 'here', nonce: 'x' },
      { startTime: undefined, signalled: true },
      false,
      'alive',
    ],
    ['has no /proc and is gone', { pid: 7, host: 'here', nonce: 'x' }, gone, false, 'dead'],
  ])('that %s', (_what, seenHolder, seen, socketLock, expected) => {
    expect(judgeHolder(seenHolder, self, seen, socketLock)).toBe(expected)
  })

  test('this process describes itself', async () => {
    expect(await describeSelf('x')).toMatchObject({ pid: process.pid, host: hostname(), nonce: 'x' })
  })
})
