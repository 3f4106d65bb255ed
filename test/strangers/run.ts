import { spawn } from 'node:child_process';

export interface Ended {
  readonly status: number | null;
  /** Both of its streams. */
  readonly output: string;
}

interface Running {
  readonly cwd?: string;
  /** For its standard input; default: none. */
  readonly input?: string;
  /** Default: that of this process. */
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a program to its end. */
export function run(command: string, args: readonly string[], { cwd, input, env = process.env }: Running = {}) {
  return new Promise<Ended>((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: 'pipe', env: { ...env, NO_COLOR: '1' } });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output }));
    child.stdin.end(input);
  });
}
