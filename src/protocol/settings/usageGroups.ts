/** What tokens and costs can be summed by. */
export const usageGroups = ['session', 'source', 'model', 'day'] as const;
export type UsageGroup = (typeof usageGroups)[number];
