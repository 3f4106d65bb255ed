import type { Backend } from './mcpParts.ts';

const most = 50;

/** Names of windows for a field that somebody is typing; none where the backend cannot be asked. */
export const windowNames = (backend: Backend, begin: string): Promise<string[]> =>
  named(begin, async () => (await backend.call('listWindows', { limit: 100 })).items.map(({ name }) => name));

/** Ids of sessions, likewise. */
export const sessionNames = (backend: Backend, begin: string): Promise<string[]> =>
  named(begin, async () => (await backend.call('listSessions', { limit: 100 })).items.map(({ id }) => id));

async function named(begin: string, list: () => Promise<string[]>): Promise<string[]> {
  const names = await list().catch(() => []);
  return names.filter((name) => name.startsWith(begin)).slice(0, most);
}
