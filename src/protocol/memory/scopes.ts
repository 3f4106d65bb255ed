/** Whom a memory is for: every session of the user, those that use a tool, those of a project, or one. */
export const memoryScopes = ['user', 'tool', 'project', 'session'] as const;
export type MemoryScope = (typeof memoryScopes)[number];

/** Of the text of one memory, in UTF-8. Memories are small, so that all of them fit in front of a session. */
export const mostMemoryBytes = 2_048;
