import { onTestFinished } from 'vitest';
import { VllmEngine } from '../../../src/engines/vllm/vllmEngine.ts';
import type { EngineProcess } from './engineProcess.ts';

/** The embedded engine in a process that can be killed and started again, and its client. Both end with the test, after what was made later. */
export async function restartableEngine(start: () => Promise<EngineProcess>, token?: string) {
  let server = await start();
  const connect = async () => ({ url: server.url, ...(token !== undefined && { token }) });
  const engine = new VllmEngine({ spec: 'embedded', connect });
  onTestFinished(async () => {
    await engine.close();
    await server.kill();
  });
  return {
    engine,
    server: (): EngineProcess => server,
    /** @param now default: as before. */
    restart: async (now = start): Promise<void> => {
      await server.kill();
      server = await now();
    },
  };
}
