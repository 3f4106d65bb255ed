import type { McpServer } from '@modelcontextprotocol/server';
import type { Disposable } from '../base/disposable.ts';
import type { Change } from '../protocol/signals.ts';
import type { Backend, McpParts } from './mcpParts.ts';
import { uriOfSession, uriOfWindow, uris } from './uris.ts';

/** A turn signals several changes in a second; clients read a whole resource for each that they hear of. */
const gatherMs = 500;

/** Where changes go. */
export interface ChangeListener {
  readonly updated: (uri: string) => void;
  readonly listChanged: () => void;
  /** What the listener must hear of after signals were missed, besides the resources that every server has. Default: nothing. */
  readonly alsoAfterGap?: () => Iterable<string>;
}

/**
 * Tells the client that resources were changed, or that there are others now. In the form of 2025 it hears of those that it subscribed to;
 * in that of 2026 the package picks what each subscription is about.
 */
export function tellChanges(server: McpServer, { backend }: McpParts, isModern: boolean): Disposable {
  const subscribed = new Set<string>();
  server.server.setRequestHandler('resources/subscribe', ({ params }) => {
    subscribed.add(params.uri);
    return {};
  });
  server.server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    subscribed.delete(params.uri);
    return {};
  });
  // A client that has gone hears nothing, and nothing is lost with that.
  return gatherChanges(backend, {
    updated: (uri) => {
      if (isModern || subscribed.has(uri)) server.server.sendResourceUpdated({ uri }).catch(() => undefined);
    },
    listChanged: () => void server.server.sendResourceListChanged().catch(() => undefined),
    alsoAfterGap: () => subscribed,
  });
}

/** Turns the backend's signals into changes of resources, each of them once in a while. */
export function gatherChanges(
  backend: Pick<Backend, 'onSignal'>,
  { updated, listChanged, alsoAfterGap = () => [] }: ChangeListener,
): Disposable {
  const changed = new Set<string>();
  let isListChanged = false;
  let timer: NodeJS.Timeout | undefined;
  const tell = (): void => {
    timer = undefined;
    const sent = [...changed];
    changed.clear();
    for (const uri of sent) updated(uri);
    if (isListChanged) listChanged();
    isListChanged = false;
  };
  const signals = backend.onSignal(({ change }) => {
    const about = change.type === 'resync' ? [...Object.values(uris), ...alsoAfterGap()] : urisOf(change);
    if (about.length === 0) return;
    for (const uri of about) changed.add(uri);
    isListChanged ||= mayChangeList(change);
    timer ??= setTimeout(tell, gatherMs);
  });
  return {
    dispose: () => {
      signals.dispose();
      clearTimeout(timer);
    },
  };
}

function urisOf(change: Change): string[] {
  switch (change.type) {
    case 'window':
      return [uris.windows, uris.stats, uriOfWindow(change.window)];
    case 'session':
      return [uris.sessions, uriOfSession(change.session)];
    case 'engine':
      return [uris.health, uris.stats];
    case 'state':
    case 'project':
    case 'client':
    case 'heartbeat':
    case 'resync':
      return [];
  }
}

/** A session is new with its first version, and is gone or back without one; a window's signal does not say. */
const mayChangeList = (change: Change): boolean =>
  change.type === 'window' ||
  change.type === 'resync' ||
  (change.type === 'session' && (change.version === undefined || change.version === 1));
