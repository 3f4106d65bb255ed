/** Whether sweeps are walked whole: `npm run nightly`, or `CWM_NIGHTLY=1` before any test command. */
export const isNightly = process.env['CWM_NIGHTLY'] === '1';

/**
 * Whether a case of a sweep runs. A night runs all of them; `npm test` runs every `every`th, the same ones each time. Give the sum of the
 * case's indices (point + kind + ending): then each point is still walked in some way, and each way at some points.
 */
export const isSampled = (index: number, every: number): boolean => isNightly || index % every === 0;

/** Cases that a property tries. */
export const runs = (inTest: number, inNight: number): number => (isNightly ? inNight : inTest);
