import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { VllmEngine } from '../../src/engines/vllm/vllmEngine.ts';
import { coreOver } from '../engines/llamaServer/coreOver.ts';
import { EngineProcess } from './support/engineProcess.ts';
import { scratch, smallModel } from './support/smallModel.ts';

const never = new AbortController().signal;

test('N12 a freeze of a context whose blocks are all stored makes two requests: the one that stores it is a canary as well', async () => {
  const folder = scratch();
  const server = await EngineProcess.start(join(folder.path, 'kv'), '--model', smallModel(folder.path));
  const engine = new VllmEngine({ spec: 'embedded', connect: async () => ({ url: server.url }) });
  const core = await coreOver(engine);
  onTestFinished(async () => {
    await core.dispose();
    await engine.close();
    await server.kill();
    folder[Symbol.dispose]();
  });
  const requests = (): Promise<number> => server.metric('vllm:request_success_total');
  await core.keep();
  const before = await requests();
  const frozen = await core.cwm.freeze({ session: 's', window: 'again', checkpoint: true }, never);
  expect((await requests()) - before).toBe(2);
  expect(frozen).toMatchObject({
    verdict: 'proven',
    content: { canary: 'agreed', canaryDifference: 0, canaryNoise: 0 },
  });
  expect(await core.cwm.thaw({ window: 'again' }, never)).toMatchObject({
    verdict: 'proven',
    content: { canary: 'agreed', canaryDifference: 0 },
  });
});
