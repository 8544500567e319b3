// Puts lmdb's JavaScript, without its install scripts and what they need, beside the compiled sources. Its native half
// is loaded by native-addon.js from the prebuilt platform packages, which must be of the same release. Then puts all the
// threads need into one file each: loading the modules one by one took 100 ms of CPU at each open, and takes 30.
import { readFile, realpath, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const here = dirname(fileURLToPath(import.meta.url))
const lmdb = await realpath(join(here, 'node_modules/lmdb'))
const manifest = JSON.parse(await readFile(join(here, 'package.json'), 'utf8'))
const { version } = JSON.parse(await readFile(join(lmdb, 'package.json'), 'utf8'))

for (const [name, pinned] of Object.entries(manifest.optionalDependencies))
  if (pinned !== version) throw new Error(`${name} is pinned to ${pinned}, lmdb's JavaScript is ${version}`)

const REPLACED = {
  'node-gyp-build-optional-packages':
    "import { loadNativeAddon } from './native-addon.js'\nexport default loadNativeAddon\n",
  // Values are bytes, keys have an encoder of our own, and nothing is cached: these are loaded but never used.
  msgpackr: 'export class Encoder {}\n',
  'weak-lru-cache': 'export class WeakLRUCache {}\n',
  'ordered-binary': [
    'export const enableNullTermination = () => {}',
    'export { none as compareKeys, none as fromBufferKey, none as readKey, none as toBufferKey, none as writeKey }',
    "function none() { throw new Error('keys have an encoder of their own') }",
    '',
  ].join('\n'),
}

const PATCHED = [
  // A process shares one environment a file, with the flags of whoever opened it first: a reader must not make it one that
  // nobody can write through. So "no writing from here" is told apart from "a file that cannot be written".
  {
    from: '(options.readOnly ? 0x20000 : 0)',
    to: '(options.readOnly && !options.writableFile ? 0x20000 : 0)',
  },
  // An environment whose first transaction fails stayed open with nobody to close it, and kept its lock file from being
  // made anew. A native open that fails is another thing: it must not be tried again.
  {
    from: 'env.readerCheck(); // clear out any stale entries',
    to: 'try { env.readerCheck() } catch (error) { env.close(); error.wasOpen = true; throw error }',
  },
  {
    from: 'return options.asClass ? Class : new Class(options.name || null, options);',
    to: 'try { return new Class(options.name || null, options) } catch (error) { env.close(); error.wasOpen = true; throw error }',
  },
]

const lmdbChunk = await bundled({
  input: join(lmdb, 'node-index.js'),
  external: ['./native-addon.js'],
  plugins: [
    {
      name: 'replaced',
      resolveId: (id) => (Object.hasOwn(REPLACED, id) ? `\0${id}` : undefined),
      load: (id) => REPLACED[id.slice(1)],
    },
    {
      name: 'patched',
      transform: (code, id) => {
        if (!id.endsWith('/lmdb/open.js')) return undefined
        return PATCHED.reduce((patched, { from, to }) => {
          if (patched.split(from).length !== 2)
            throw new Error(`${id} is not the file this patch was made for`)
          return patched.replace(from, () => to)
        }, code)
      },
    },
  ],
})
if (!lmdbChunk.code.includes('writableFile')) throw new Error('the patch of lmdb was not applied')
await writeFile(join(here, 'dist/lmdb-js.js'), lmdbChunk.code)
await writeFile(join(here, 'dist/lmdb-js.d.ts'), await readFile(join(here, 'src/lmdb-js.d.ts')))
await writeFile(join(here, 'dist/THIRD-PARTY.txt'), await notices(lmdbChunk.moduleIds))

for (const thread of ['writer-thread', 'merge-thread']) {
  const chunk = await bundled({ input: join(here, `dist/${thread}.js`), external: [] })
  await writeFile(join(here, `dist/${thread}.bundle.js`), chunk.code)
}

/** One ES module out of `input` and all it imports, but for Node's own and `external`. */
async function bundled({ input, external, plugins = [] }) {
  const bundle = await rolldown({
    input,
    external,
    plugins,
    platform: 'node',
    makeAbsoluteExternalsRelative: false,
    treeshake: true,
  })
  const { output } = await bundle.generate({ format: 'esm', comments: { legal: true } })
  await bundle.close()
  const [chunk] = output
  if (output.length !== 1) throw new Error(`one chunk was expected, not ${output.length}`)
  for (const name of chunk.imports)
    if (!name.startsWith('node:') && !external.includes(name))
      throw new Error(`the bundle still imports ${name}`)
  return chunk
}

/** The licence of every package a module of the bundle comes from. */
async function notices(moduleIds) {
  const packages = new Map()
  for (const id of moduleIds) {
    const root = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1]
    if (root !== undefined) packages.set(root, JSON.parse(await readFile(join(root, 'package.json'), 'utf8')))
  }
  const texts = [
    'lmdb-js.js in this directory, and what is bundled from it for threads, is made of these packages.\n',
  ]
  for (const [root, { name, version, license }] of [...packages].sort(([a], [b]) => (a < b ? -1 : 1)))
    texts.push(`${name} ${version} (${license})\n\n${await readFile(join(root, 'LICENSE'), 'utf8')}`)
  return texts.join(`\n${'-'.repeat(80)}\n\n`)
}
