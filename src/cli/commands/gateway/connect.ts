import { homedir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { CwmError } from '../../../protocol/errors.ts';
import type { Perform } from '../../action.ts';
import { applied, undone, writeWithToken } from '../../otherClients/changeWithToken.ts';
import {
  clientConfigs,
  type ClientConfig,
  type ClientSetup,
  type ConfigChange,
} from '../../otherClients/clientConfigs.ts';
import { beforeChange, putBack, readConfigFile, rewriteFile } from '../../otherClients/configFile.ts';
import { withCommonOptions, type Run } from '../../run.ts';

interface ConnectOptions {
  readonly yes?: boolean;
  readonly undo?: boolean;
  readonly project?: string;
  readonly served?: string;
}

const waitMs = 120_000;
const names = Object.keys(clientConfigs).join(', ');

export function registerConnect(program: Command, perform: Perform): void {
  withCommonOptions(program.command('connect'))
    .description("set a client up for the gateway: shows the change to the client's configuration, and makes it on yes")
    .argument('<client>', names)
    .option('--project <name>', 'project of its conversations (default: the folder that its prompts name)')
    .option('--served <model>', 'model that it asks for (default: the first one of the model server)')
    .option('--yes', 'make the change without a question')
    .option('--undo', 'take the change back, and revoke the token')
    .action((kind: string, options: ConnectOptions) =>
      perform(options, async (run) => {
        const config = Object.hasOwn(clientConfigs, kind) ? clientConfigs[kind] : undefined;
        if (!config)
          throw new CwmError('InvalidParameter', `"${kind}" is no client that is known. There are: ${names}.`);
        await (options.undo ? undo(run, kind, config) : connect(run, kind, config, options));
      }),
    );
}

async function connect(run: Run, kind: string, config: ClientConfig, options: ConnectOptions): Promise<void> {
  const { url, items } = await run.call('gatewayClients', {});
  if (url === null) {
    throw new CwmError('BackendUnavailable', 'The gateway does not listen.', {
      hint: 'Run "cwm stop" and then "cwm serve --http 8765", and connect the client after that.',
    });
  }
  const model = options.served ?? (await run.call('listModels', run.onEngine)).models[0]?.id;
  if (model === undefined)
    throw new CwmError('InvalidParameter', 'The model server lists no model. Name one with --served.');
  const base = options.project === undefined ? url : `${url}/p/${encodeURIComponent(options.project)}`;
  const shown = config.change({ ...places(run), base, model, token: 'TOKEN' });
  if (shown && !options.yes) {
    const { bytes, text } = await readConfigFile(shown.file);
    const before = bytes && text;
    run.terminal.err(`${shown.file} becomes:\n\n${applied(shown, before)}\n`);
    if (!(await agreed(run))) throw new CwmError('Cancelled', 'Nothing was changed.');
  }
  const newToken = async (): Promise<string> => (await run.call('putGatewayClient', { name: kind })).token ?? '';
  const withToken = (token: string): ConfigChange | null => config.change({ ...places(run), base, model, token });
  const token = shown ? await writeWithToken(shown, newToken, withToken) : await newToken();
  run.print({ client: kind, file: shown?.file ?? null, url: `${base}/v1`, model }, () =>
    [
      shown ? `${config.label} is set up in ${shown.file}.` : `${config.label} needs no file.`,
      config.hint({ ...places(run), base, model, token }),
    ].join('\n'),
  );
  if (!run.terminal.isWatched || run.json) return;
  run.terminal.err('Waiting for its first request; Ctrl-C ends that.\n');
  const before = items.find(({ name }) => name === kind)?.requests ?? 0;
  run.terminal.err(
    (await firstRequest(run, kind, before)) ? `${config.label} works.\n` : 'None came within two minutes.\n',
  );
}

async function undo(run: Run, kind: string, config: ClientConfig): Promise<void> {
  const change = config.change({ ...places(run), base: '', model: '', token: '' });
  const file = change && (await readConfigFile(change.file));
  let isUnknown = false;
  // What was there before, byte for byte; where somebody changed the file since, only the gateway's values go back.
  if (change && file?.bytes && !(await putBack(file))) {
    const before = await beforeChange(file);
    const rest = undone(change, file.text, before);
    isUnknown = before === undefined && rest === file.text;
    if (!isUnknown) await rewriteFile(file, rest);
  }
  const { items } = await run.call('gatewayClients', {});
  if (items.some(({ name, createdAt }) => name === kind && createdAt !== null)) {
    await run.call('deleteGatewayClient', { name: kind });
  }
  run.print({ client: kind, file: change?.file ?? null }, () =>
    change
      ? isUnknown
        ? `${change.file} stays as it is: nothing says that "cwm connect" changed it.`
        : `${change.file} has nothing of the gateway any more.`
      : `The token of ${config.label} does not work any more.`,
  );
}

/** Asks the person; without one, the answer is no. */
async function agreed(run: Run): Promise<boolean> {
  const prompter = run.terminal.prompter();
  try {
    return /^y(es)?$/i.test(((await prompter.ask('Make this change? [y/N] ')) ?? '').trim());
  } finally {
    prompter.dispose();
  }
}

/** @param before requests of earlier. */
async function firstRequest(run: Run, name: string, before: number): Promise<boolean> {
  for (const deadlineMs = performance.now() + waitMs; performance.now() < deadlineMs;) {
    const { items } = await run.call('gatewayClients', {});
    if (items.some((item) => item.name === name && item.requests > before)) return true;
    await delay(1000, undefined, { signal: run.terminal.interrupted }).catch(() => undefined);
    if (run.terminal.interrupted.aborted) return false;
  }
  return false;
}

function places({ terminal }: Run): Pick<ClientSetup, 'home' | 'codeUser'> {
  const { env } = terminal;
  const home = env['HOME'] || env['USERPROFILE'] || homedir();
  const codeUser = {
    linux: path.join(env['XDG_CONFIG_HOME'] || path.join(home, '.config'), 'Code', 'User'),
    darwin: path.join(home, 'Library', 'Application Support', 'Code', 'User'),
    win32: env['APPDATA'] ? path.join(env['APPDATA'], 'Code', 'User') : null,
  } as Readonly<Record<string, string | null>>;
  return { home, codeUser: codeUser[process.platform] ?? null };
}
