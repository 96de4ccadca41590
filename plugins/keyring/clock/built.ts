/**
 * A day on which this code was there already: no clock that says an earlier one is right. Written down here, for what
 * files and packages say of their age is what some clock said, or what npm makes of it (1985). Moved on with each release.
 */
export const built = new Date('2026-11-20T00:00:00Z')
