import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { compileFunction } from 'node:vm'
import { protocol, type Protocol } from '@slip/kv-core'
import type { Mutant } from './mutant.ts'
import { mutationsOf } from './mutations.ts'

const IMPORT = /^import \{ ([^}]*) \} from '([^']*)';$/gm
const EXPORT = /^export (?=function|const)/gm

/** The compiled kernels of kv-core, each changed in every way `mutationsOf` knows. */
export async function generatedMutants(): Promise<readonly Mutant[]> {
  const folder = join(dirname(createRequire(import.meta.url).resolve('@slip/kv-core')), 'protocol')
  const mutants: Mutant[] = []
  for (const file of (await kernelsOf(folder)).sort()) {
    const source = await readFile(join(folder, file), 'utf8')
    const imported = await importsOf(source, folder)
    const seen = new Map<string, number>()
    const sources = new Set<string>()
    for (const { line, source: mutated } of mutationsOf(source)) {
      // Dropping one side of an operator, or the other side of the next, can be the same.
      const bare = mutated.replaceAll(/\s+/g, '')
      if (sources.has(bare)) continue
      sources.add(bare)
      const count = (seen.get(line) ?? 0) + 1
      seen.set(line, count)
      const name = `${basename(file, '.js')}: ${line}${count > 1 ? ` (${count})` : ''}`
      mutants.push({ name, changes: evaluated(mutated, imported) })
    }
  }
  return mutants
}

/** The files beside the table that it is made of; a build may have left others. */
async function kernelsOf(folder: string): Promise<string[]> {
  const found = new Set<string>(['protocol.js'])
  for (const file of found) {
    const source = await readFile(join(folder, file), 'utf8')
    for (const [, , path] of source.matchAll(IMPORT)) if (path!.startsWith('./')) found.add(path!.slice(2))
  }
  found.delete('protocol.js')
  return [...found]
}

/** What a kernel imports, from the files beside it, unchanged. */
async function importsOf(source: string, folder: string): Promise<ReadonlyMap<string, unknown>> {
  const imported = new Map<string, unknown>()
  for (const [, names, path] of source.matchAll(IMPORT)) {
    const module = (await import(pathToFileURL(join(folder, path!)).href)) as Record<string, unknown>
    for (const name of names!.split(',').map((each) => each.trim())) imported.set(name, module[name])
  }
  return imported
}

/** The functions of the table that a source defines. */
function evaluated(source: string, imported: ReadonlyMap<string, unknown>): Partial<Protocol> {
  const names = [...source.matchAll(/^export function (\w+)/gm)]
    .map(([, name]) => name!)
    .filter((name) => Object.hasOwn(protocol, name))
  const body = source.replaceAll(IMPORT, '').replaceAll(EXPORT, '')
  const define = compileFunction(`${body}\nreturn { ${names.join(', ')} }`, [...imported.keys()])
  return define(...imported.values()) as Partial<Protocol>
}
