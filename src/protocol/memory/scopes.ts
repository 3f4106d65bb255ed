/** Whom a memory is for: every session of the user, those of a project, or one. */
export const memoryScopes = ['user', 'project', 'session'] as const;
export type MemoryScope = (typeof memoryScopes)[number];
