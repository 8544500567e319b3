#!/usr/bin/env node
// Turns public data that is already on this machine into NDJSON for `slip load`: the operating system's
// package index where there is one (a key a package, its whole record as the value), and in any case the
// runtime's own root certificates. Usage: node tools/datasets/package-index.mjs [--limit N] > packages.ndjson

import { spawn } from 'node:child_process'
import { createReadStream, existsSync } from 'node:fs'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { rootCertificates } from 'node:tls'
import { X509Certificate } from 'node:crypto'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { limit: { type: 'string', default: 'Infinity' } } })
const limit = Number(values.limit)
let written = 0

for await (const record of records()) {
  if (written >= limit) break
  written++
  if (!process.stdout.write(`${JSON.stringify(record)}\n`)) await once(process.stdout, 'drain')
}
process.stderr.write(`${written} entries\n`)

async function* records() {
  for (const pem of rootCertificates) {
    const { fingerprint256 } = new X509Certificate(pem)
    yield { key: `certificate.${fingerprint256.replaceAll(':', '').toLowerCase()}`, text: pem }
  }
  const seen = new Set()
  for await (const paragraph of packageParagraphs()) {
    const name = field(paragraph, 'Package')
    if (name === undefined) continue
    const key = `package.${safe(field(paragraph, 'Section') ?? 'none')}.${safe(name)}`
    if (seen.has(key)) continue
    seen.add(key)
    yield { key, text: paragraph }
  }
}

/** The package index, a paragraph a package: the available packages, else the installed ones, else nothing. */
async function* packageParagraphs() {
  let any = false
  for await (const paragraph of paragraphsOf(availablePackages())) {
    any = true
    yield paragraph
  }
  const installed = '/var/lib/dpkg/status'
  if (!any && existsSync(installed)) yield* paragraphsOf(createReadStream(installed))
}

function availablePackages() {
  const child = spawn('apt-cache', ['dumpavail'], { stdio: ['ignore', 'pipe', 'ignore'] })
  child.once('error', () => child.stdout.destroy())
  // With a limit the rest is not read: a writer nobody reads must not keep this process alive.
  child.stdout.once('close', () => child.kill())
  return child.stdout
}

async function* paragraphsOf(stream) {
  let lines = []
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      if (line !== '') lines.push(line)
      else if (lines.length > 0) {
        yield lines.join('\n')
        lines = []
      }
    }
  } catch (error) {
    if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  } finally {
    stream.destroy()
  }
  if (lines.length > 0) yield lines.join('\n')
}

function field(paragraph, name) {
  return new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1]
}

/** NATS keys allow letters, digits and -/_=. only, and no empty token. */
function safe(text) {
  return text.replaceAll('+', '_plus').replaceAll(/[^-\w/=.]/g, '_')
}
