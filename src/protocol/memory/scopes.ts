/** Whom a memory is for: every session of the user, those that use a tool, those of a project, or one. */
export const memoryScopes = ['user', 'tool', 'project', 'session'] as const;
export type MemoryScope = (typeof memoryScopes)[number];
