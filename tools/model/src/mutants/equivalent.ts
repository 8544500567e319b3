/** Mutants that decide as the original does, by name, each with the reason. A name that is not used fails the run. */
export const EQUIVALENT: Readonly<Record<string, string>> = {
  'attach: if (revision > source.lastRevision)':
    'no revision is above one that is not stated: the comparison with undefined is false by itself',
  'may-restore: if (revision > source.lastRevision)':
    'no revision is above one that is not stated: the comparison with undefined is false by itself',
  'may-restore: return revision > own;':
    'no revision is above one that is not stated: the comparison with undefined is false by itself',
  "fast-forward-to: return anew.history === 'same' ? reached : undefined;":
    'only a fold that is built anew has a history in what attach says',
  'may-fast-forward: if (cursor.revision < least)':
    'attach does not go on from a position that is no revision of a bucket that has them; a bucket without proves nothing',
  'listing-is-truth: return evictsOldestFirst === true && firstRevision <= 1n;':
    'a first revision that is not stated is at or below nothing: the comparison with undefined is false by itself',
}
