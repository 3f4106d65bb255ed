import { newSession, type Session } from '../../src/protocol/schemas/session.ts';
import { lineageId, projectUri, sessionId } from '../support/ids.ts';
import type { WindowSummary } from '../../src/protocol/schemas/window.ts';
import type { Plain } from '../support/plain.ts';
import { type State, initialState } from '../../src/vscode/state.ts';

export { aReceipt } from '../support/aReceipt.ts';

const at = '2026-11-20T10:00:00.000Z';
/** Three minutes after everything below was made. */
export const now = new Date('2026-11-20T10:03:00.000Z');

export const aSession = (changes: Plain<Partial<Session>> = {}): Session =>
  ({
    ...newSession({
      id: sessionId('session-1'),
      title: 'auth-refactor',
      project: projectUri('file:///home/me/project'),
      engine: 'embedded',
      model: { id: 'tiny', root: null, maxModelLen: 32_000, fingerprint: null },
      lineage: lineageId('lineage-1'),
      tokens: { count: 8192, promptCount: 8190, sha256: 'x', source: 'engine', messageCount: 2 },
      createdAt: at,
    }),
    branches: {},
    ...changes,
  }) as Session;

export const aWindow = (changes: Plain<Partial<WindowSummary>> = {}): WindowSummary =>
  ({
    name: 'auth-refactor-1',
    description: '',
    tags: [],
    session: 'session-1',
    mode: 'freeze',
    model: 'tiny',
    engine: 'embedded',
    project: 'file:///home/me/project',
    parentWindow: null,
    tokens: 8192,
    kvBytes: 12_600_000,
    pinned: false,
    createdAt: at,
    lastThaw: null,
    reuse: { thaws: 0, promptTokens: 0, cachedTokens: 0 },
    ...changes,
  }) as WindowSummary;

export const aState = (changes: Partial<State> = {}): State => ({ ...initialState, ...changes });
