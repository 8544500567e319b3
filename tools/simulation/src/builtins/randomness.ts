import crypto from 'node:crypto'
import { activeWorld } from '../world/active-world.ts'
import type { Random } from '../world/random.ts'
import type { World } from '../world/world.ts'

const streams = new WeakMap<World, Random>()

function chance(world: World): Random {
  let stream = streams.get(world)
  if (stream === undefined) streams.set(world, (stream = world.random('builtins')))
  return stream
}

/** Makes what Node calls random a function of the active world's seed. */
export function installRandomness(): void {
  const { randomBytes, randomFillSync, randomUUID } = crypto
  const { random } = Math
  Math.random = () => {
    const world = activeWorld()
    return world === undefined ? random() : chance(world).fraction()
  }
  Object.assign(crypto, {
    randomBytes: (size: number): Buffer => {
      const world = activeWorld()
      if (world === undefined) return randomBytes(size)
      const bytes = Buffer.alloc(size)
      chance(world).fillBytes(bytes)
      return bytes
    },
    randomFillSync: <T extends NodeJS.ArrayBufferView>(target: T): T => {
      const world = activeWorld()
      if (world === undefined) return randomFillSync(target)
      chance(world).fillBytes(new Uint8Array(target.buffer, target.byteOffset, target.byteLength))
      return target
    },
    randomUUID: (): string => {
      const world = activeWorld()
      if (world === undefined) return randomUUID()
      const bytes = Buffer.alloc(16)
      chance(world).fillBytes(bytes)
      bytes[6] = (bytes[6]! & 0x0f) | 0x40
      bytes[8] = (bytes[8]! & 0x3f) | 0x80
      const hex = bytes.toString('hex')
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
        '-',
      )
    },
  })
}
