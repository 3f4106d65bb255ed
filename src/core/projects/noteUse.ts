import type { CoreRouteName } from '../../protocol/api.ts';
import { coreRoutes } from '../../protocol/api.ts';
import { parseSessionId, parseWindowName, type SessionId, type WindowName } from '../../protocol/ids.ts';
import type { CoreContext } from '../context.ts';

/** Notes in the caller's record which session of its project an operation was about. It never fails: the operation is done. */
export async function noteUse(core: CoreContext, route: CoreRouteName, input: object, result: object): Promise<void> {
  if (coreRoutes[route].kind === 'read') return;
  const given = input as Readonly<Record<string, unknown>>;
  const said = result as Readonly<Record<string, unknown>>;
  const id = parsed(
    given['session'] ?? said['session'] ?? (route === 'createSession' ? said['id'] : null),
    parseSessionId,
  );
  if (id === null) return;
  if (route === 'deleteSession') return core.clients.closed(id);
  const { client } = core.caller();
  const place = core.clients.peek(client);
  if (!place || !uses.has(route)) return;
  const session = await core.store.sessions.get(id).catch(() => null);
  if (session?.project !== place.resolution.project) return;
  core.clients.opened(client, id, parsed(given['window'], parseWindowName));
}

/** What a person or an agent does in a session that it works in. */
const uses: ReadonlySet<CoreRouteName> = new Set([
  'createSession',
  'importConversation',
  'send',
  'prime',
  'editMessage',
  'regenerate',
  'continueAnswer',
  'freeze',
  'thaw',
  'setCurrentSession',
]);

function parsed<Id extends SessionId | WindowName>(value: unknown, parse: (text: string) => Id): Id | null {
  try {
    return typeof value === 'string' ? parse(value) : null;
  } catch {
    return null;
  }
}
