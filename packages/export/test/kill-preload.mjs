// Loaded before anything else: counts the calls that reach the file system, and ends the process in front of one.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { isMainThread } from 'node:worker_threads'

const NAMES = {
  promises: [
    'link',
    'lstat',
    'mkdir',
    'open',
    'readFile',
    'readdir',
    'realpath',
    'rename',
    'rm',
    'stat',
    'unlink',
    'writeFile',
  ],
  callbacks: ['fsync', 'fdatasync'],
  handle: ['read', 'write', 'writeFile', 'stat', 'sync', 'datasync', 'truncate', 'close', 'utimes'],
}
// The start of the process is no part of what is looked at.
const state = { armed: false, calls: 0 }
const killAt = Number(process.env.SLIP_KILL_AT ?? 0)

function counted(owner, name) {
  const original = owner[name]
  owner[name] = function (...args) {
    if (state.armed && ++state.calls === killAt) process.kill(process.pid, 'SIGKILL')
    return original.apply(this, args)
  }
}

if (isMainThread) {
  for (const name of NAMES.promises) counted(fs.promises, name)
  for (const name of NAMES.callbacks) counted(fs, name)
  const probe = await fs.promises.open(process.execPath, 'r')
  const prototype = Object.getPrototypeOf(probe)
  await probe.close()
  for (const name of NAMES.handle) counted(prototype, name)
  syncBuiltinESMExports()
}

globalThis.slipCalls = {
  arm: () => {
    state.armed = true
  },
  count: () => state.calls,
}
