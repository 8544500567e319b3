import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { bin, capture, ROOT } from './exec.mjs'

const SCRATCH = join(ROOT, 'examples/dist/readme')

/** Compiles every ```ts block of the READMEs against the built packages, and runs the first of the root's. */
export async function checkReadmes() {
  const blocks = []
  for (const path of ['README.md', ...(await packageReadmes())]) {
    const text = await readFile(join(ROOT, path), 'utf8')
    for (const [index, match] of [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].entries())
      blocks.push({ path, file: `${path.replaceAll(/[^a-z0-9]+/gi, '-')}-${index + 1}.ts`, code: match[1] })
  }
  await rm(SCRATCH, { recursive: true, force: true })
  await mkdir(SCRATCH, { recursive: true })
  for (const { file, code } of blocks) await writeFile(join(SCRATCH, file), `${code}\nexport {}\n`)
  await writeFile(join(SCRATCH, 'tsconfig.json'), JSON.stringify(PROJECT))
  const compiled = await capture(bin('tsc'), ['-p', SCRATCH])
  if (compiled.code !== 0) {
    process.stdout.write(compiled.text)
    return 1
  }
  process.stdout.write(`${blocks.length} README examples compile\n`)
  return await runFirst(blocks[0])
}

const PROJECT = {
  extends: '../../../tsconfig.base.json',
  compilerOptions: {
    composite: false,
    isolatedDeclarations: false,
    declaration: false,
    declarationMap: false,
    noUnusedLocals: false,
    outDir: 'out',
    rootDir: '.',
  },
  include: ['*.ts'],
}

async function packageReadmes() {
  const names = await readdir(join(ROOT, 'packages'))
  return names.map((name) => `packages/${name}/README.md`).filter((path) => existsSync(join(ROOT, path)))
}

async function runFirst({ path, file }) {
  const { code, text } = await capture(process.execPath, [join(SCRATCH, 'out', file.replace(/\.ts$/, '.js'))])
  process.stdout.write(text)
  const said = text.trim() !== ''
  if (code === 0 && said) return 0
  process.stdout.write(`the first example of ${path} ended with ${code}${said ? '' : ' and said nothing'}\n`)
  return 1
}
