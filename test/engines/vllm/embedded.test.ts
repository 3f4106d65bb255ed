import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VllmEngine } from '../../../src/engines/vllm/vllmEngine.ts';
import { engineContract, type EngineUnderTest } from '../contract/engineContract.ts';

const main = new URL('../../../src/embedded/main.ts', import.meta.url);

/** The embedded engine as a process of its own, with its generated model and real llama.cpp. */
async function startEmbedded(kvDir: string): Promise<{ child: ChildProcess; url: string }> {
  const args = ['--kv-dir', kvDir, '--threads', '1', '--context', '2048'];
  const child = fork(main, args, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  const [message] = (await once(child, 'message')) as [{ url?: string; error?: { message: string } }];
  if (message.url === undefined) throw new Error(message.error?.message ?? 'the engine did not start');
  return { child, url: message.url };
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

async function embeddedUnderTest(): Promise<EngineUnderTest> {
  const kvDir = await mkdtemp(join(tmpdir(), 'cwm-embedded-'));
  let running = await startEmbedded(kvDir);
  const engine = new VllmEngine({
    spec: 'embedded',
    connect: async () => ({ url: running.url, managed: true }),
  });
  return {
    engine,
    restart: async () => {
      await kill(running.child);
      running = await startEmbedded(kvDir);
    },
    survivesRestart: true,
    tellsReuse: true,
    givesCanary: true,
    blocksReachable: true,
    dispose: async () => {
      await engine.close();
      await kill(running.child);
      await rm(kvDir, { recursive: true, force: true });
    },
  };
}

engineContract('the embedded engine', embeddedUnderTest);
