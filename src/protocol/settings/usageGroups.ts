/** What tokens and costs can be summed by; `branch` and `turn` are those of one session, from its messages. */
export const usageGroups = ['session', 'source', 'model', 'day', 'branch', 'turn'] as const;
export type UsageGroup = (typeof usageGroups)[number];
