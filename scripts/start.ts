// The README's first command: builds, carries out the main job on this repository's own files, prints what it measured, and
// opens VS Code with the extension until Ctrl-C.
//
//   --headless   ends after the main job
//   --json       prints the result as one JSON object on stdout (everything else goes to stderr)
//   --tokens N   how much context; default 8192, with --model 2048
//   --context PATH, --question TEXT, --chat-template NAME
//                what the model reads and is asked, and the form of it; default: this repository's files
//   --model FILE a GGUF file to show it on; default: a generated model, whose text is noise
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCodeServer } from '../test/vscode/harness/codeServer.ts';
import { ensureCodeServer } from '../test/vscode/harness/installation.ts';
import { readArguments } from './readArguments.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const cli = path.join(root, 'dist', 'cli.js');
const { values } = readArguments(
  'Usage: npm start [-- [--model FILE.gguf] [--headless [--json]] [--tokens N] [--context PATH] [--question TEXT] [--chat-template NAME]]',
  {
    options: {
      headless: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      tokens: { type: 'string' },
      model: { type: 'string' },
      context: { type: 'string' },
      question: { type: 'string' },
      'chat-template': { type: 'string' },
    },
  },
);
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupted.abort());

const storage = mkdtempSync(path.join(tmpdir(), 'cwm-start-'));
const engine = values.model === undefined ? 'embedded' : `embedded:${path.resolve(values.model)}`;
// A real model takes many times as long for each token.
const tokens = values.tokens ?? (values.model === undefined ? '8192' : '2048');
const settings = { 'cwm.storageDirectory': storage, 'cwm.engine': engine };
try {
  process.exitCode = await main();
} finally {
  await run([cli, 'stop', '--storage', storage, '--json'], 'ignore');
  rmSync(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}

async function main(): Promise<number> {
  const built = await run([path.join(root, 'esbuild.mjs')], 'to stderr');
  if (built !== 0 || interrupted.signal.aborted) return built;
  const { context } = values;
  const files = context === undefined ? ['src', 'docs', 'README.md'] : [context];
  const what = context === undefined ? 'the files of this repository' : path.relative(root, path.resolve(context));
  console.error(`\nThe main job, on the embedded engine with ${what} as the context:\n`);
  const asked = (['question', 'chat-template'] as const).flatMap((name) =>
    values[name] === undefined ? [] : [`--${name}`, values[name]],
  );
  const json = values.json ? ['--json'] : [];
  const args = [cli, 'demo', ...files, '--storage', storage, '--engine', engine, '--tokens', tokens, ...asked, ...json];
  const done = await run(args, 'to stdout');
  if (values.headless || interrupted.signal.aborted) return done;
  if (done !== 0) console.error('\nThe main job did not end as it should; see above. VS Code opens all the same.');
  await openEditor();
  return done;
}

/** Desktop VS Code if it is installed, else the same VS Code in a browser. Returns when the user closes it. */
async function openEditor(): Promise<void> {
  if (await openDesktop()) return;
  console.error('\nNo desktop VS Code was found ("code"), so the browser build is prepared.');
  const server = await startCodeServer({
    installation: await ensureCodeServer({ signal: interrupted.signal }),
    extensionFolders: [root],
    settings,
    signal: interrupted.signal,
  });
  try {
    console.error(`\nVS Code with the extension: ${server.origin}/?folder=${encodeURIComponent(path.resolve(root))}`);
    console.error('Ctrl-C ends it.');
    await Promise.race([whenInterrupted(), server.exited]);
  } finally {
    await server.stop();
  }
}

async function openDesktop(): Promise<boolean> {
  const shell = process.platform === 'win32';
  if (spawnSync('code', ['--version'], { stdio: 'ignore', shell, timeout: 20_000 }).status !== 0) return false;
  console.error('\nVS Code opens with the extension. Ctrl-C here ends this script and its storage.');
  const profile = path.join(storage, 'vscode');
  mkdirSync(path.join(profile, 'User'), { recursive: true });
  writeFileSync(path.join(profile, 'User', 'settings.json'), JSON.stringify(settings));
  const args = [`--extensionDevelopmentPath=${root}`, `--user-data-dir=${profile}`, '--new-window', root];
  spawn('code', args, { stdio: 'ignore', shell }).unref();
  await whenInterrupted();
  return true;
}

function whenInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    if (interrupted.signal.aborted) resolve();
    else interrupted.signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function run(args: readonly string[], output: 'to stdout' | 'to stderr' | 'ignore'): Promise<number> {
  const stdout = output === 'to stdout' ? 'inherit' : output === 'to stderr' ? 2 : 'ignore';
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args], {
      cwd: root,
      stdio: ['ignore', stdout, output === 'ignore' ? 'ignore' : 'inherit'],
    });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}
