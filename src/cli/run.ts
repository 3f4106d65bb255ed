import type { Command } from 'commander';
import { entryPointPath } from '../base/entryPoint.ts';
import type { BackendClient, CallOptions } from '../client/backendClient.ts';
import type { BackendStart } from '../client/backendChild.ts';
import { backendClient } from '../client/connectBackend.ts';
import type { RouteInput, RouteName, RouteOutput } from '../protocol/api.ts';
import { CwmError, nullOn } from '../protocol/errors.ts';
import { notEmpty } from './arguments.ts';
import { engineOf } from './engineSpec.ts';
import { ProgressLine } from './terminal/progress.ts';
import { readableText } from '../base/readableText.ts';
import { absolutePath } from '../client/absolutePath.ts';
import { projectUriOfFolder } from '../client/projectUri.ts';
import { storagePath } from '../client/storagePath.ts';
import type { Terminal } from './terminal/terminal.ts';

/** Options that every command takes. */
export interface CommonOptions {
  readonly storage?: string;
  readonly engine?: string;
  readonly model?: string;
  readonly json?: boolean;
}

export const withCommonOptions = (command: Command): Command =>
  command
    .option('--storage <dir>', 'storage directory (default: $CWM_STORAGE, else your own data directory)', notEmpty)
    .option('--engine <spec>', 'model server: a URL, "embedded" or "embedded:FILE.gguf"')
    .option('--json', 'print one JSON object');

/** For commands that may meet a server with several models. */
export const withModelOption = (command: Command): Command =>
  command.option('--model <name>', 'model of --engine, where that server has several (see "cwm model list")', notEmpty);

/** One run of one command: its options, its calls to the backend, and its output. */
export class Run {
  readonly terminal: Terminal;
  readonly storage: string;
  readonly json: boolean;
  /** Undefined: the engine of the session or window. */
  readonly engine: string | undefined;
  #client: BackendClient | undefined;

  constructor(terminal: Terminal, options: CommonOptions) {
    this.terminal = terminal;
    this.storage = storagePath(options.storage, terminal.env, terminal.cwd);
    this.json = options.json ?? false;
    this.engine = engineOf(options.engine, options.model, terminal.cwd);
  }

  /** For a route that takes an engine. */
  get onEngine(): { engine?: string } {
    return this.engine === undefined ? {} : { engine: this.engine };
  }

  get backendStart(): BackendStart {
    return { nodePath: process.execPath, entry: entryPointPath('backend', import.meta.url) };
  }

  /**
   * Calls the backend, starts it when none runs, and shows the progress on a terminal, until text arrives.
   *
   * @param doing the step to show until the backend names one, like "Freezing".
   * @param options `signal` aborts the call; default: Ctrl-C.
   */
  async call<Name extends RouteName>(
    name: Name,
    input: RouteInput<Name>,
    doing = 'Working',
    { signal = this.terminal.interrupted, onText }: Pick<CallOptions, 'signal' | 'onText'> = {},
  ): Promise<RouteOutput<Name>> {
    this.#client ??= backendClient({
      storage: this.storage,
      kind: 'cli',
      start: this.backendStart,
      engineKey: async () => this.terminal.env['CWM_API_KEY'],
      engineKeyFor: this.terminal.env['CWM_API_KEY_FOR'] || undefined,
      workingDirectory: this.terminal.cwd,
    });
    const client = this.#client;
    if (this.json || !this.terminal.isWatched)
      return await client.call(name, input, { signal, ...(onText && { onText }) });
    const progress = new ProgressLine(this.terminal, doing);
    const hear = (piece: string): void => {
      progress.dispose();
      onText?.(piece);
    };
    try {
      return await client.call(name, input, {
        signal,
        onProgress: (step) => progress.show(step),
        ...(onText && { onText: hear }),
      });
    } finally {
      progress.dispose();
    }
  }

  /**
   * The project that a folder belongs to; a URI names one itself, and so does the name under which clients of the gateway ask (`/p/NAME`).
   *
   * @throws CwmError InvalidDirectory for a folder that is not there and that nothing is stored of; InvalidParameter for a bad configuration.
   */
  async project(folder: string): Promise<string> {
    if (/^[a-z][a-z0-9+.-]+:\/\//i.test(folder)) return folder;
    const path = absolutePath(folder, this.terminal.cwd);
    const uri = await projectUriOfFolder(path);
    const found = await this.call('findProject', { folder: uri });
    // A folder that is gone may have sessions. A name that was mistyped has none: the backend looks at a path, and not at a URI.
    if (found.tier === 'default') {
      const named = `project://${encodeURIComponent(folder)}`;
      const isThere = await nullOn(this.call('findProject', { folder: path }), 'InvalidDirectory');
      if (!isThere && (await this.call('listProjects', {})).items.some(({ project }) => project === named))
        return named;
      if (!isThere) await this.call('findProject', { folder: path });
    }
    return found.project ?? uri;
  }

  /**
   * What the folder in which the command runs belongs to. Null: the folder is gone.
   *
   * @throws CwmError InvalidParameter for a bad configuration.
   */
  projectHere(): Promise<RouteOutput<'findProject'> | null> {
    return nullOn(this.call('findProject', { folder: this.terminal.cwd }), 'InvalidDirectory');
  }

  /** Asks the person; without one, the answer is no. @throws CwmError Cancelled for anything but a yes. */
  async requireYes(question: string): Promise<void> {
    const prompter = this.terminal.prompter();
    try {
      if (/^y(es)?$/i.test(((await prompter.ask(`${question} [y/N] `)) ?? '').trim())) return;
    } finally {
      prompter.dispose();
    }
    throw new CwmError('Cancelled', 'Nothing was changed.', { hint: '"--yes" answers the question for you.' });
  }

  /** Prints the command's one result: as one line of JSON for a script, in words for people. */
  print<T>(value: T, inWords: (value: T) => string): void {
    this.terminal.out(this.json ? `${JSON.stringify(value)}\n` : `${readableText(inWords(value).trimEnd())}\n`);
  }

  dispose(): void {
    this.#client?.dispose();
  }
}
