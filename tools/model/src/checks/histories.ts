/** Two histories of a bucket whose begins can be told apart, by less than a millisecond. */
export const EARLIER = '2026-01-02T03:04:05.6Z'
export const LATER = '2026-01-02T03:04:05.600000001Z with a name'
