import { describe, expect, it } from 'vitest';
import { makeDispatch, type Dispatch, type DispatchParts } from '../../../src/backend/api/dispatch.ts';
import type { ProcessHandlers } from '../../../src/backend/api/processHandlers.ts';
import type { Operations } from '../../../src/core/operations.ts';
import { OperationLimit } from '../../../src/backend/api/operationLimit.ts';
import { RateLimiter, type RateLimits } from '../../../src/backend/api/rateLimit.ts';
import { currentClient, engineKeyFor } from '../../../src/backend/requestScope.ts';
import { routes, type RouteName } from '../../../src/protocol/api.ts';
import { CwmError, type ErrorName } from '../../../src/protocol/errors.ts';

const names = Object.keys(routes) as RouteName[];
const never = new AbortController().signal;

/** Every operation answers its own name, unless the test gives it something to do. */
function dispatching(parts: Partial<DispatchParts> = {}, work: Partial<Operations> = {}): Dispatch {
  const answering = Object.fromEntries(names.map((name) => [name, async () => name])) as unknown as Operations &
    ProcessHandlers;
  const unlimited = new RateLimiter(() => null, { elapsedMs: () => 0 });
  return makeDispatch({
    operations: { ...answering, ...work },
    process: answering,
    limit: new OperationLimit(),
    rates: unlimited,
    readOnlyWhy: null,
    noMoreWhy: () => null,
    ...parts,
  });
}

/** The routes that are answered; the others must fail with this error. */
async function answered(dispatch: Dispatch, client: string, name: ErrorName): Promise<RouteName[]> {
  const through: RouteName[] = [];
  for (const route of names) {
    const answer = await dispatch({ route, input: {}, client }, never).catch((error: unknown) => error);
    if (answer === route) through.push(route);
    else expect(answer, route).toMatchObject({ name });
  }
  return through;
}

const namesWhere = (isMeant: (name: RouteName) => boolean): RouteName[] => names.filter(isMeant);

describe('dispatch', () => {
  it('begins no change while it makes room for a newer backend; what reads is answered', async () => {
    const dispatch = dispatching({ noMoreWhy: () => new CwmError('BackendUnavailable', 'It makes room.') });
    const through = await answered(dispatch, 'cli.1', 'BackendUnavailable');
    expect(through).toEqual(namesWhere((name) => routes[name].kind === 'read' || routes[name].unlimited === true));
  });

  it('refuses changes on a read-only store, except what the route allows there', async () => {
    const dispatch = dispatching({ readOnlyWhy: () => new CwmError('UnsupportedSchema', 'A later version wrote it.') });
    const through = await answered(dispatch, 'cli.1', 'UnsupportedSchema');
    expect(through).toEqual(
      namesWhere(
        (name) =>
          routes[name].kind === 'read' || ['setWorkingDirectory', 'verify', 'shutdown', 'retire'].includes(name),
      ),
    );
  });

  it('lets every client read while no more operations may start, and lets it end the backend', async () => {
    const limit = new OperationLimit(1);
    const ended = Promise.withResolvers<never>();
    const dispatch = dispatching({ limit }, { prune: () => ended.promise });
    const running = dispatch({ route: 'prune', input: {}, client: 'cli.1' }, never);
    const through = await answered(dispatch, 'cli.2', 'TooManyOperations');
    expect(through).toEqual(namesWhere((name) => routes[name].kind === 'read' || routes[name].unlimited === true));
    ended.reject(new Error('The test is over.'));
    await expect(running).rejects.toThrow('The test is over.');
  });

  it('counts only changes against the limit of a minute', async () => {
    const none: RateLimits = { perMinute: 0, perHour: 0, burst: 0 };
    const rates = new RateLimiter(() => none, { elapsedMs: () => 0 });
    const through = await answered(dispatching({ rates }), 'cli.1', 'TooManyRequests');
    expect(through).toEqual(namesWhere((name) => routes[name].kind === 'read' || routes[name].unlimited === true));
  });

  it('counts changes of clients with one owner together', async () => {
    const rates = new RateLimiter(() => ({ perMinute: 1, perHour: 1, burst: 1 }), { elapsedMs: () => 0 });
    const dispatch = dispatching({ rates }, { prune: async () => ({}) as never });
    const ask = (client: string, rateOwner: string): Promise<unknown> =>
      dispatch({ route: 'prune', input: {}, client, rateOwner }, never);
    await ask('cli.1', 'one');
    await expect(ask('cli.2', 'one')).rejects.toMatchObject({ name: 'TooManyRequests' });
    await ask('cli.2', 'two');
  });

  it.each(['mcp.1', 'gateway'])(
    'refuses %s what ends the work of others, cannot be undone, or looks around on the machine',
    async (client) => {
      const through = await answered(dispatching(), client, 'AccessDenied');
      const ownOnly = new Set([
        'shutdown',
        'emptyTrash',
        'discover',
        'listFiles',
        'listClients',
        'gatewayClients',
        'openGateway',
        'putGatewayClient',
        'deleteGatewayClient',
        'findProject',
        'listProjects',
        'adoptProject',
        'moveSession',
        'moveToBase',
        'recordProject',
        'projectBase',
        'makeProjectBase',
        'deleteProjectBase',
        'openProject',
        'projectConfig',
        'useEngine',
        // A model must not approve its own tool calls.
        'approveTools',
        'trustProject',
        'remember',
        'editMemory',
        'forgetMemory',
        'importKv',
        'exportKv',
      ]);
      expect(through).toEqual(namesWhere((name) => !ownOnly.has(name)));
    },
  );

  it("runs an operation in its request's scope", async () => {
    const seen = async () =>
      ({ client: currentClient(), key: engineKeyFor('http://h', { now: 'http://h', own: 'embedded' }) }) as never;
    const dispatch = dispatching({}, { usage: seen });
    const requests = ['a', 'b'].map((key) =>
      dispatch({ route: 'usage', input: {}, client: `cli.${key}`, engineKey: key }, never),
    );
    expect(await Promise.all(requests)).toEqual([
      { client: 'cli.a', key: 'a' },
      { client: 'cli.b', key: 'b' },
    ]);
  });
});
