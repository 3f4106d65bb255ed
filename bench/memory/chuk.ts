import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { PolicyRow } from './policies.ts';
import type { TraceTurn } from '../../test/core/memory/endless/trace.ts';

const script = fileURLToPath(new URL('chuk.py', import.meta.url));
/** Its working set grows with the conversation: 400 turns of its virtual memory take half a minute on an idle core. */
const longestMs = 600_000;

export interface ChukRow extends PolicyRow {
  readonly mode: string;
}

/**
 * What chuk-ai-session-manager comes to with the same texts, in each of its modes.
 *
 * @param python one that has it: `python3 -m venv V && V/bin/pip install chuk-ai-session-manager==0.11.2`.
 * @throws Error with what Python said.
 */
export async function chukRows(
  python: string,
  given: { readonly trace: readonly TraceTurn[]; readonly systemPrompt: string; readonly limit: number },
  signal: AbortSignal,
): Promise<ChukRow[]> {
  const said = await new Promise<string>((resolve, reject) => {
    const options = { signal, timeout: longestMs, killSignal: 'SIGKILL' as const };
    const child = execFile(python, [script], options, (error, stdout, stderr) => {
      if (error)
        reject(new Error(`${python} could not run chuk-ai-session-manager: ${stderr.slice(-500) || error.message}`));
      else resolve(stdout);
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(JSON.stringify(given));
  });
  return said
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ChukRow);
}
