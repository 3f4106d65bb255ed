import type { App } from '../../app.ts';

/** A window's own engine, for a call: naming it makes the call carry that engine's API key. */
export async function engineOfWindow(app: App, window: string): Promise<{ engine: string }> {
  const { summary } = await app.connection.call('getWindow', { window });
  return { engine: summary.engine };
}
