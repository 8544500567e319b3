import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { runObjectStoreConformance } from '@slip/conformance'
import { directoryObjects } from '@slip/export'
import { describe, expect, test, vi } from 'vitest'
import { scratch } from './scratch.ts'

describe('the directory', () => {
  runObjectStoreConformance(test, {
    capabilities: { createOnly: true, compareAndSwap: true, rangeReads: true },
    create: async () => {
      const directory = join(await scratch(), 'objects')
      return {
        store: directoryObjects(directory),
        other: directoryObjects(directory),
        destroy: async () => undefined,
      }
    },
  })
})

const text = (bytes: string): Uint8Array => new TextEncoder().encode(bytes)

function start(directory: string, what: string): ChildProcessByStdio<null, Readable, null> {
  return spawn(process.execPath, [join(import.meta.dirname, 'put-child.mjs'), directory, what], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

test('what a process that was killed in the middle of a put left is swept by the next one', async () => {
  const directory = await scratch()
  const child = start(directory, 'hang')
  await once(child.stdout, 'data')
  const place = join(directory, '.slip-objects')
  expect((await readdir(place)).some((name) => /^draft-[^.]*$/.test(name))).toBe(true)
  const store = directoryObjects(directory)
  await store.put('beside', text('a live draft is left alone'))
  expect((await readdir(place)).some((name) => /^draft-[^.]*$/.test(name))).toBe(true)
  child.kill('SIGKILL')
  await once(child, 'exit')
  await directoryObjects(directory).put('after', text('v'))
  expect(await readdir(place)).toEqual([])
  expect(await store.get('hung')).toBeUndefined()
})

test('processes that raise one number by compare-and-swap, some of them killed, lose nothing', async () => {
  const directory = await scratch()
  const store = directoryObjects(directory)
  await store.put('number', text('0'))
  let said = 0
  const children = await Promise.all(
    [1, 2, 3].map(async () => {
      const child = start(directory, 'count')
      child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString().split('+').length - 1))
      await once(child.stdout, 'data')
      return child
    }),
  )
  await vi.waitFor(() => expect(said).toBeGreaterThan(50), { timeout: 30_000 })
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(children.map((child) => once(child, 'close')))
  const found = await store.get('number')
  let number = ''
  for await (const piece of found!.body) number += new TextDecoder().decode(piece)
  // Each may have been killed between a swap and saying so.
  expect(Number(number)).toBeGreaterThanOrEqual(said)
  expect(Number(number)).toBeLessThanOrEqual(said + children.length * 2)
  const swapped = await store.put('number', text('done'), { condition: { etag: found!.etag } })
  expect(swapped).not.toBe('conflict')
})

test('a link inside of the directory leads nowhere', async () => {
  const [directory, outside] = [await scratch(), await scratch()]
  await writeFile(join(outside, 'secret'), 'outside')
  await symlink(join(outside, 'secret'), join(directory, 'linked'))
  await symlink(outside, join(directory, 'door'))
  const store = directoryObjects(directory)
  expect(await store.get('linked')).toBeUndefined()
  await expect(store.put('door/new', text('v'))).rejects.toMatchObject({ code: 'InvalidKey' })
  expect(await readdir(outside)).toEqual(['secret'])
  const names = []
  for await (const { name } of store.list('')) names.push(name)
  expect(names).toEqual([])
  await store.put('linked', text('in its place'))
  expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('outside')
})

test('its own place holds no objects', async () => {
  const store = directoryObjects(await scratch())
  await expect(store.put('.slip-objects/draft-1', text('v'))).rejects.toMatchObject({ code: 'InvalidKey' })
  await expect(store.get('.slip-objects/x')).rejects.toMatchObject({ code: 'InvalidKey' })
})

test('files and directories are for their owner alone', async () => {
  const directory = join(await scratch(), 'new')
  await directoryObjects(directory).put('a/b', text('v'))
  expect((await stat(join(directory, 'a/b'))).mode & 0o777).toBe(0o600)
  expect((await stat(join(directory, 'a'))).mode & 0o777).toBe(0o700)
})

test('a large object that replaces another in the same tick of the clock has another etag', async () => {
  const directory = await scratch()
  const store = directoryObjects(directory)
  const first = await store.put('large', new Uint8Array(2_000_000))
  const late = new Date(Date.now() + 3_600_000)
  await utimes(join(directory, 'large'), late, late)
  const before = (await stat(join(directory, 'large'))).mtimeMs
  const second = await store.put('large', new Uint8Array(2_000_000).fill(1))
  expect((await stat(join(directory, 'large'))).mtimeMs).toBeGreaterThan(before)
  expect(second).not.toEqual(first)
})

test('an object below a file, and a directory in the place of one, are errors of the file system', async () => {
  const directory = await scratch()
  const store = directoryObjects(directory)
  await store.put('a', text('v'))
  await expect(store.put('a/b', text('v'))).rejects.toMatchObject({ code: 'Io' })
  await mkdir(join(directory, 'd'))
  await expect(store.put('d', text('v'))).rejects.toMatchObject({ code: 'Io' })
  expect(await store.get('d')).toBeUndefined()
})
