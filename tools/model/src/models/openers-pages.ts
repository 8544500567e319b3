import { FIRST_PAGES, WRITTEN, type OpenersState as S } from './openers-state.ts'

/** Which pages belong to which commit: its own root and leaf, and the other leaf of the one it begins at. */

export const numberOf = (s: S, commit: number): number => (commit === 0 ? 0 : s.number.at(commit - 1))
const baseOf = (s: S, commit: number): number => s.base.at(commit - 1)
const rootOf = (s: S, commit: number): number => (commit === 0 ? 0 : s.root.at(commit - 1))

/** How many commits led to it: what it says of itself. */
export function countOf(s: S, commit: number): number {
  let count = 0
  for (let at = commit; at > 0; at = baseOf(s, at)) count++
  return count
}

/** The newest by the numbers in the header pages. */
export function newestOf(s: S): number {
  const [even, odd] = [s.headers.at(0), s.headers.at(1)]
  return numberOf(s, odd) > numberOf(s, even) ? odd : even
}

/** The commit that wrote one of the leaves last, 0 for what was there before. */
function writerOfLeaf(s: S, commit: number, which: number): number {
  let at = commit
  for (let count = countOf(s, commit); at > 0 && count % 2 !== which; count--) at = baseOf(s, at)
  return at
}

const leafOf = (s: S, writer: number, which: number): number =>
  writer === 0 ? 1 + which : s.leaf.at(writer - 1)

/** The commit that wrote a page last, of those whose pages are in the file; 0 for none. */
function writerOfPage(s: S, page: number): number {
  let at = s.writer === WRITTEN ? s.made + 1 : s.made
  while (at > 0 && s.root.at(at - 1) !== page && s.leaf.at(at - 1) !== page) at--
  return at
}

/** Whether every page of a commit is as it wrote or found it. */
export function isWhole(s: S, commit: number): boolean {
  if (writerOfPage(s, rootOf(s, commit)) !== commit) return false
  for (let which = 0; which < 2; which++) {
    const writer = writerOfLeaf(s, commit, which)
    if (writerOfPage(s, leafOf(s, writer, which)) !== writer) return false
  }
  return true
}

/** The number of the commit that freed a page, as `commit` and those before it list it; 0 where it is in use, or was never. */
export function freedBy(s: S, commit: number, page: number): number {
  for (let at = commit; at > 0; at = baseOf(s, at)) {
    if (s.root.at(at - 1) === page || s.leaf.at(at - 1) === page) return 0
    const before = baseOf(s, at)
    const which = countOf(s, at) % 2
    if (rootOf(s, before) === page || leafOf(s, writerOfLeaf(s, before, which), which) === page)
      return numberOf(s, at)
  }
  return 0
}

/** One behind the last page that `commit` and those before it have used. */
export function endOf(s: S, commit: number): number {
  let end = FIRST_PAGES
  for (let at = commit; at > 0; at = baseOf(s, at))
    end = Math.max(end, s.root.at(at - 1) + 1, s.leaf.at(at - 1) + 1)
  return end
}
