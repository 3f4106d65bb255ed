import { spawn } from 'node:child_process';

export interface Ended {
  readonly status: number | null;
  /** Both of its streams. */
  readonly output: string;
}

/** Runs a program to its end. @param input for its standard input; default: none. */
export function run(command: string, args: readonly string[], { cwd, input }: { cwd?: string; input?: string } = {}) {
  return new Promise<Ended>((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: 'pipe', env: { ...process.env, NO_COLOR: '1' } });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output }));
    child.stdin.end(input);
  });
}
