/** 0, 1, 2 …, so many of them. */
export const range = (length: number): number[] => Array.from({ length }, (_, index) => index);
