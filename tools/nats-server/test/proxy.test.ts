import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { type Proxy, startProxy } from '@slip/nats-server'
import { afterEach, beforeEach, expect, test } from 'vitest'

// Far more than the sockets of two connections buffer in the system.
const MOST_MEGABYTES = 128

let target: Server
let proxy: Proxy
let arrived: Buffer[]
let peer: Socket | undefined
let client: Socket

beforeEach(async () => {
  arrived = []
  peer = undefined
  target = createServer((socket) => {
    peer = socket
    socket.on('data', (chunk) => arrived.push(chunk)).on('error', () => undefined)
    socket.write('hello')
  })
  target.listen(0, '127.0.0.1')
  await once(target, 'listening')
  proxy = await startProxy({ target: target.address() as AddressInfo })
  client = connect(proxy.port, '127.0.0.1')
  client.on('error', () => undefined)
  await once(client, 'data')
})
afterEach(async () => {
  client.destroy()
  await proxy[Symbol.asyncDispose]()
  peer?.destroy()
  await new Promise((resolve) => target.close(resolve))
})

const received = (): string => Buffer.concat(arrived).toString()

test('passes bytes both ways', async () => {
  client.write('abc')
  await expect.poll(received).toBe('abc')
})

test('held toward the client only, what the client sends still arrives', async () => {
  proxy.hold('toClient')
  const answers: string[] = []
  client.on('data', (chunk) => answers.push(chunk.toString()))
  client.write('abc')
  await expect.poll(received).toBe('abc')
  peer!.write('answer')
  await wait(150)
  expect(answers).toEqual([])
  proxy.release()
  await expect.poll(() => answers.join('')).toBe('answer')
})

test('held both ways nothing passes, nothing closes, and what was held comes in order', async () => {
  proxy.hold()
  for (const part of ['a', 'b', 'c']) {
    client.write(part)
    await wait(50)
  }
  expect(received()).toBe('')
  expect(client.closed).toBe(false)
  proxy.release()
  client.write('d')
  await expect.poll(received).toBe('abcd')
})

test('slow one way delays that way; order stays when the delay ends early', async () => {
  proxy.slow(300, 'toServer')
  const start = performance.now()
  client.write('late ')
  const answer = once(client, 'data')
  peer!.write('at once')
  await answer
  expect(received()).toBe('')
  proxy.slow(0)
  client.write('then this')
  await expect.poll(received).toBe('late then this')
  expect(performance.now() - start).toBeGreaterThanOrEqual(290)
})

test('cut resets connections and welcomes new ones; refuse turns new ones away until release', async () => {
  proxy.cut()
  await expect.poll(() => client.closed).toBe(true)
  expect(await greets()).toBe(true)
  proxy.refuse()
  expect(await greets()).toBe(false)
  proxy.release()
  expect(await greets()).toBe(true)
})

test('a connection made while the way to the client is held hears nothing until release', async () => {
  proxy.hold('toClient')
  const late = connect(proxy.port, '127.0.0.1')
  const heard: string[] = []
  late.on('data', (chunk) => heard.push(chunk.toString()))
  await once(late, 'connect')
  await wait(150)
  expect(heard).toEqual([])
  proxy.release()
  await expect.poll(() => heard.join('')).toBe('hello')
  late.destroy()
})

test('a reader that stops reading stops the writer: nothing piles up in the proxy', async () => {
  client.pause()
  const chunk = Buffer.alloc(1 << 20)
  let written = 0
  while (written < MOST_MEGABYTES && (await takes(peer!, chunk))) written++
  expect(written).toBeLessThan(MOST_MEGABYTES)
  let read = 0
  client.on('data', (part) => (read += part.length)).resume()
  await expect.poll(() => read, { timeout: 5_000 }).toBe((written + 1) * chunk.length)
})

/** Whether the chunk leaves this process within half a second. */
async function takes(socket: Socket, chunk: Buffer): Promise<boolean> {
  return await new Promise((resolve) => {
    const limit = setTimeout(() => resolve(false), 500)
    socket.write(chunk, () => {
      clearTimeout(limit)
      resolve(true)
    })
  })
}

async function greets(): Promise<boolean> {
  const socket = connect(proxy.port, '127.0.0.1')
  return await new Promise((resolve) => {
    socket
      .on('data', () => resolve(true))
      .on('error', () => resolve(false))
      .on('close', () => resolve(false))
  }).then((answer) => {
    socket.destroy()
    return answer as boolean
  })
}
