import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** One fenced block of the guide, in the order of the page. */
export interface GuideStep {
  readonly kind: 'commands' | 'file' | 'line' | 'other'
  /** Of a file, or of the file that a line goes into. */
  readonly path?: string
  readonly text: string
}

export const GUIDE: string = fileURLToPath(new URL('../../../docs/write-a-store.md', import.meta.url))

const FENCE = /(?:^`([^`\n]+)`(, in `apply`)?:\n\n)?^```(\w+)\n([\s\S]*?)^```$/gm

/** What the guide tells its reader to do. */
export async function guideSteps(): Promise<readonly GuideStep[]> {
  const page = await readFile(GUIDE, 'utf8')
  return [...page.matchAll(FENCE)].map(([, path, inApply, language, text = '']): GuideStep => {
    if (language === 'sh') return { kind: 'commands', text }
    if (path === undefined) return { kind: 'other', text }
    return { kind: inApply === undefined ? 'file' : 'line', path, text }
  })
}
