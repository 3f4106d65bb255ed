import * as z from 'zod/mini';
import { CwmError, toCwmError } from '../protocol/errors.ts';
import { prefetchBlocks } from './kv/prefetch.ts';
import { parseOptions } from './options.ts';
import { serveEmbedded, type RunningEngine } from './serve.ts';

/**
 * The embedded engine's process. Flags: `--kv-dir DIR` (required), `--model FILE.gguf`, `--context N`, `--threads N`,
 * `--gpu auto|off|metal|cuda|vulkan`, `--gpu-layers N`, `--kv-type f16|…`, `--chat-template NAME|FILE`, `--port N`,
 * `--block-tokens N`, `--load-timeout-ms N`; the API key, where one is wanted, in `CWM_ENGINE_TOKEN`, and the key for KV, where it is
 * to be encrypted, in `CWM_KV_KEY`.
 *
 * When it serves, one line `{"url", "pid", "workerPid"}` goes to stdout, and the same object over IPC when it was forked.
 * When it cannot, one line `{"error": {code, message, retryable, hint}}` goes the same ways, and it exits with 1. Everything
 * else is on stderr. It ends with SIGTERM, SIGINT, and with the process that forked it.
 */
const log = (message: string): void => void process.stderr.write(`[embedded] ${message}\n`);

async function tell(message: object): Promise<void> {
  await new Promise<void>((resolve) => process.stdout.write(`${JSON.stringify(message)}\n`, () => resolve()));
  await new Promise<void>((resolve) => {
    if (process.send) process.send(message, () => resolve());
    else resolve();
  });
}

/** From the environment, where the llama worker must not find it. @throws CwmError InvalidConfig for anything but 64 hex digits. */
function takeKvKey(): Uint8Array | null {
  const text = process.env['CWM_KV_KEY'] ?? '';
  delete process.env['CWM_KV_KEY'];
  if (text === '') return null;
  if (/^[0-9a-f]{64}$/.test(text)) return Buffer.from(text, 'hex');
  throw new CwmError('InvalidConfig', 'The key for KV in CWM_KV_KEY is not 64 hex digits.');
}

/** The message that the parent may send at any time: blocks that a request will load. */
const hintSchema = z.object({ prefetch: z.array(z.string()) });

let engine: RunningEngine | null = null;

function end(): void {
  engine?.close();
  process.exit(0);
}

process.once('SIGTERM', end);
process.once('SIGINT', end);
process.once('disconnect', end);

try {
  const options = parseOptions(process.argv.slice(2));
  // Its parent knows which KV it will need first; the model's loading leaves the disk idle.
  process.on('message', (message) => {
    const hashes = hintSchema.safeParse(message).data?.prefetch ?? [];
    void prefetchBlocks(options.kvDir, hashes, AbortSignal.timeout(options.loadTimeoutMs)).catch(() => undefined);
  });
  // A moment later, so that the request that noticed it gets its answer.
  const endSoon = (): void => void setTimeout(end, 50);
  const secrets = { token: process.env['CWM_ENGINE_TOKEN'] || undefined, kvKey: takeKvKey() };
  engine = await serveEmbedded(options, secrets, endSoon, log);
  await tell({ url: engine.url, pid: process.pid, workerPid: engine.workerPid });
} catch (error) {
  const cwmError = toCwmError(error);
  if (cwmError.name === 'Internal') log(error instanceof Error ? (error.stack ?? error.message) : String(error));
  await tell({ error: cwmError.report() });
  process.exit(1);
}
