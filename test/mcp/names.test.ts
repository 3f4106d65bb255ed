import { expect, test } from 'vitest';
import { sessionNames, windowNames } from '../../src/mcp/names.ts';
import { aSession, aWindow } from '../vscode-unit/builders.ts';
import { FakeBackend } from './support/fakeBackend.ts';

const page = { total: 2, hasMore: false };

test('while somebody types, the sessions and windows are offered that begin so, and none where the backend cannot be asked', async () => {
  const backend = new FakeBackend({
    listSessions: () => ({ items: ['talk', 'other'].map((id) => aSession({ id })), ...page }),
    listWindows: () => ({ items: ['w1', 'x'].map((name) => aWindow({ name })), ...page }),
  });
  expect(await sessionNames(backend, 'ta')).toEqual(['talk']);
  expect(await windowNames(backend, 'w')).toEqual(['w1']);
  expect(await sessionNames(new FakeBackend({}), '')).toEqual([]);
});
