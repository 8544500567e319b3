import { startNatsServer } from '@slip/nats-server'

const server = await startNatsServer()
process.send(server.pid)
process.once('message', () => process.exit(0))
