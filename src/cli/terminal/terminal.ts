import { addAbortSignal } from 'node:stream';
import { decodeText } from '../../base/decodeText.ts';
import { CwmError } from '../../protocol/errors.ts';
import { processPrompter, type Prompter } from './prompter.ts';

/** What a command sees of the process that runs it. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Whether stderr is a terminal, so that progress can be shown there. */
  readonly isWatched: boolean;
  /** Aborts with Ctrl-C. */
  readonly interrupted: AbortSignal;
  out(text: string): void;
  err(text: string): void;
  /** Reads text to its end. @throws an abort error with Ctrl-C, CwmError InvalidParameter for what is no Unicode text. */
  readStdin(): Promise<string>;
  /** From now on the person's lines go to it. */
  prompter(): Prompter;
}

/** The terminal of this process. */
export function processTerminal(interrupted: AbortSignal): Terminal {
  return {
    env: process.env,
    cwd: process.cwd(),
    isWatched: process.stderr.isTTY,
    interrupted,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    prompter: () => processPrompter(interrupted),
    readStdin: async () => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of addAbortSignal(interrupted, process.stdin)) chunks.push(chunk as Uint8Array);
      const decoded = decodeText(Buffer.concat(chunks));
      if ('text' in decoded) return decoded.text;
      throw new CwmError('InvalidParameter', `What came on standard input is ${decoded.why}.`, {
        hint: 'Convert it to UTF-8 (iconv -t UTF-8) and send it again.',
      });
    },
  };
}
