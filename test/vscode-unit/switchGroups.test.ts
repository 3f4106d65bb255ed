import { expect, test } from 'vitest';
import { switchGroups } from '../../src/vscode/render/switchGroups.ts';
import { aSession } from './builders.ts';

test('the switcher has this folder first, then others, then what nobody used for thirty days, and no empty group', () => {
  const now = new Date('2026-11-20T10:00:00.000Z');
  const at = (id: string, project: string | null, updatedAt: string) => aSession({ id, project, updatedAt });
  const sessions = [
    at('other', 'file:///b', '2026-11-20T09:00:00.000Z'),
    at('old', 'file:///a', '2026-10-21T09:59:59.000Z'),
    at('edge', 'file:///a', '2026-10-21T10:00:00.000Z'),
    at('nowhere', null, '2026-11-20T09:00:00.000Z'),
    at('here', 'file:///a', '2026-11-19T09:00:00.000Z'),
  ];
  const shown = (project: string | null) =>
    switchGroups(sessions, project, now).map((each) => [each.group, each.sessions.map(({ id }) => id)]);
  expect(shown('file:///a')).toEqual([
    ['This folder', ['edge', 'here']],
    ['Other folders', ['other', 'nowhere']],
    ['Stale', ['old']],
  ]);
  expect(shown(null).map(([group]) => group)).toEqual(['Other folders', 'Stale']);
});
