/** Mutants that decide as the original does, by name, each with the reason. A name that is not used fails the run. */
export const EQUIVALENT: Readonly<Record<string, string>> = {}
