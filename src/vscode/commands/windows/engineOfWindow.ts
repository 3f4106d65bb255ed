import type { App } from '../../app.ts';

/** A window's own engine, to be named in a call: the API key that goes along is that engine's. */
export async function engineOfWindow(app: App, window: string): Promise<{ engine: string }> {
  const { summary } = await app.connection.call('getWindow', { window });
  return { engine: summary.engine };
}
