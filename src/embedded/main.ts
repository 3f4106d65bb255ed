import { toCwmError } from '../protocol/errors.ts';
import { parseOptions } from './options.ts';
import { serveEmbedded, type RunningEngine } from './serve.ts';

/**
 * The embedded engine's process. Flags: `--kv-dir DIR` (required), `--model FILE.gguf`, `--context N`, `--threads N`,
 * `--gpu auto|off|metal|cuda|vulkan`, `--gpu-layers N`, `--kv-type f16|…`, `--chat-template NAME|FILE`, `--port N`,
 * `--block-tokens N`, `--load-timeout-ms N`; the API key, where one is wanted, in `CWM_ENGINE_TOKEN`.
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
  // A moment later, so that the request that noticed it is answered.
  const endSoon = (): void => void setTimeout(end, 50);
  engine = await serveEmbedded(options, process.env['CWM_ENGINE_TOKEN'] || undefined, endSoon, log);
  await tell({ url: engine.url, pid: process.pid, workerPid: engine.workerPid });
} catch (error) {
  const cwmError = toCwmError(error);
  if (cwmError.name === 'Internal') log(error instanceof Error ? (error.stack ?? error.message) : String(error));
  await tell({ error: cwmError.report() });
  process.exit(1);
}
