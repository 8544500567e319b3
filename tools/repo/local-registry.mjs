import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { basename } from 'node:path'
import { capture } from './exec.mjs'

/** Serves tarballs as a registry would, and nothing else; package managers ask it for one scope only. */
export async function localRegistry(tarballs) {
  const packages = new Map()
  for (const path of tarballs) {
    const bytes = await readFile(path)
    const manifest = JSON.parse((await capture('tar', ['-xzOf', path, 'package/package.json'])).text)
    packages.set(manifest.name, { file: basename(path), bytes, manifest })
  }
  const server = createServer((request, response) => {
    const wanted = decodeURIComponent(new URL(request.url, 'http://registry').pathname).slice(1)
    const file = [...packages.values()].find((known) => wanted.endsWith(`-/${known.file}`))
    if (file !== undefined) {
      response.end(file.bytes)
      return
    }
    const found = packages.get(wanted)
    if (found === undefined) {
      response.writeHead(404).end('{}')
      return
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(packument(found, `http://127.0.0.1:${server.address().port}`)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

function packument({ file, bytes, manifest }, url) {
  const { name, version } = manifest
  const dist = {
    tarball: `${url}/${name}/-/${file}`,
    integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
    shasum: createHash('sha1').update(bytes).digest('hex'),
  }
  const versions = { [version]: { ...manifest, dist } }
  return { name, 'dist-tags': { latest: version }, versions, time: { [version]: '2020-01-01T00:00:00.000Z' } }
}
