import { createConnection } from 'node:net'

/** What a server says first on a new connection (`INFO`); rejects when nothing comes within `withinMs`. */
export async function greeting(port: number, withinMs: number = 1_000): Promise<Record<string, unknown>> {
  return await new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    let text = ''
    const fail = (why: string): void => {
      socket.destroy()
      reject(new Error(why))
    }
    const limit = setTimeout(() => fail(`silence on port ${port}`), withinMs)
    socket.once('close', () => clearTimeout(limit))
    socket.once('error', reject)
    socket.once('end', () => fail(`port ${port} closed before a greeting`))
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const end = text.indexOf('\r\n')
      if (end < 0) return
      socket.destroy()
      if (text.startsWith('INFO ')) resolve(JSON.parse(text.slice('INFO '.length, end)))
      else reject(new Error(`port ${port} is no nats-server`))
    })
  })
}
