import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { clientConfigs } from '../../src/setup/clientConfigs.ts';
import { venvPython } from '../engines/live/python.ts';
import { clientFolder, clientModules, type ClientName } from './install.ts';

/** Where a client works, and what it is set up with. */
export interface Place {
  readonly home: string;
  readonly folder: string;
  /** Of the gateway, with the project where the client names none; without `/v1`. */
  readonly base: string;
  readonly token: string;
  readonly model: string;
}

export interface Turn {
  readonly text: string;
  /** `begin`: a conversation. `resume`: the last one. `fork`: another one with the same beginning. `first`: that which was forked. */
  readonly way: 'begin' | 'resume' | 'fork' | 'first';
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** How one client is driven without a person: each turn is a process of its own. */
export interface Driver {
  readonly label: string;
  readonly client: ClientName;
  readonly isInEveryRun?: true;
  /** It meets a real model in every run. The others do at night, since the prompts of most have thousands of tokens. */
  readonly isReal?: true;
  /** Its prompts name the folder that it works in. */
  readonly namesFolder?: true;
  readonly cannotFork?: true;
  /** It offers the model none, so that its story calls none. */
  readonly hasNoTools?: true;
  /** A fork has all of the conversation, so that a branch begins when the first one goes on. */
  readonly forksAtEnd?: true;
  /** Requests that become turns in its whole story. Default: one for each thing that is said, and one with what the tool gave. */
  readonly turns?: number;
  /** How many requests of its own its whole story may have. Default: none. */
  readonly errands?: readonly number[];
  /** After a fork. Default 2: who leaves out the part of a stopped answer has one more. */
  readonly branches?: number;
  /** User messages of a session that the user did not write. Default: none. */
  readonly ownMessages?: number;
  /** The least share of a later prompt that was there before. Default 0.8: a client that breaks its own prompts keeps less. */
  readonly keeps?: number;
  setUp?(place: Place): void;
  command(place: Place, turn: Turn): Command;
}

const bin = (client: ClientName, name: string): string =>
  path.join(path.dirname(clientModules(client)), 'node_modules', '.bin', name);
const venvBin = (client: ClientName, name: string): string =>
  path.join(path.dirname(venvPython(clientFolder(client))), name);

/** As `cwm connect` does it. @returns the file. */
function connect(client: string, { base, token, home, model }: Place): string {
  const change = clientConfigs[client]?.change({ base, token, home, model, codeUser: null });
  if (!change) throw new Error(`${client} has no file.`);
  write(change.file, change.apply(null));
  return change.file;
}

function write(file: string, text: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** The ids of conversations, which a client's files are named by. */
const idsOf = (files: readonly string[]): string[] =>
  files.flatMap((file) => /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(path.basename(file))?.[0] ?? []);
/** Where the files' names begin with the time. */
const newestId = (pattern: string, home: string): string => idsOf(globSync(pattern, { cwd: home }).sort()).at(-1) ?? '';
function firstId(pattern: string, home: string): string {
  const begunMs = (file: string): number => statSync(path.join(home, file)).birthtimeMs;
  const files = globSync(pattern, { cwd: home }).sort((one, other) => begunMs(one) - begunMs(other));
  return idsOf(files)[0] ?? '';
}

/** The conversation of our own programs: what is said without the last exchange, in another file, is a fork. */
function kept({ folder }: Place, way: Turn['way']): string {
  const file = path.join(folder, 'said.json');
  if (way !== 'fork') return file;
  const other = path.join(folder, 'fork.json');
  if (!existsSync(other)) {
    copyFileSync(file, other);
    const messages = JSON.parse(readFileSync(other, 'utf8')) as object[];
    writeFileSync(other, JSON.stringify(messages.slice(0, -2)));
  }
  return other;
}

const ownProgram =
  (kind: 'openai' | 'responses' | 'aiSdk'): Driver['command'] =>
  (place, { text, way }) => ({
    program: process.execPath,
    args: [
      path.join(import.meta.dirname, 'programs', 'chat.mjs'),
      kind,
      clientModules(kind === 'responses' ? 'openai' : kind),
      `${place.base}/v1`,
      place.token,
      place.model,
      kept(place, way),
      text,
    ],
  });

const ownPython =
  (kind: 'openai' | 'langchain'): Driver['command'] =>
  (place, { text, way }) => ({
    program: venvPython(clientFolder('pythonOpenai')),
    args: [
      path.join(import.meta.dirname, 'programs', 'chat.py'),
      kind,
      `${place.base}/v1`,
      place.token,
      place.model,
      kept(place, way),
      text,
    ],
  });

const piSessions = '.pi/agent/sessions/**/*.jsonl';

export const drivers: readonly Driver[] = [
  { label: 'openai of npm', client: 'openai', isInEveryRun: true, isReal: true, command: ownProgram('openai') },
  {
    label: 'openai of npm, Responses',
    client: 'openai',
    isInEveryRun: true,
    isReal: true,
    command: ownProgram('responses'),
  },
  { label: 'AI SDK', client: 'aiSdk', command: ownProgram('aiSdk') },
  { label: 'openai of PyPI', client: 'pythonOpenai', command: ownPython('openai') },
  { label: 'langchain-openai', client: 'pythonOpenai', command: ownPython('langchain') },
  {
    label: 'llm',
    client: 'pythonOpenai',
    cannotFork: true,
    setUp: ({ home, base, model }) =>
      write(
        path.join(home, 'llm', 'extra-openai-models.yaml'),
        `- model_id: cwm\n  model_name: ${model}\n  api_base: ${base}/v1\n  supports_tools: true\n  api_key_name: cwm\n`,
      ),
    command: ({ home, token }, { text, way }) => ({
      program: venvBin('pythonOpenai', 'llm'),
      args: ['-m', 'cwm', '--key', token, '-T', 'llm_version', ...(way === 'begin' ? [] : ['-c']), text],
      env: { LLM_USER_PATH: path.join(home, 'llm') },
    }),
  },
  {
    label: 'Continue',
    client: 'continue',
    isInEveryRun: true,
    isReal: true,
    namesFolder: true,
    setUp: (place) => void connect('continue', place),
    command: ({ home }, { text, way }) => ({
      program: bin('continue', 'cn'),
      args: [
        '--config',
        path.join(home, '.continue', 'models', 'cwm.yaml'),
        '--auto',
        '-p',
        ...(way === 'resume' ? ['--resume'] : []),
        ...(way === 'fork' ? ['--fork', newestId('.continue/sessions/*.json', home)] : []),
        text,
      ],
      env: { CONTINUE_TELEMETRY_ENABLED: '0', CONTINUE_CLI_ENABLE_TELEMETRY: '0' },
    }),
  },
  {
    label: 'Codex',
    client: 'codex',
    isInEveryRun: true,
    isReal: true,
    namesFolder: true,
    ownMessages: 1,
    setUp: (place) => void connect('codex', place),
    command: ({ home, model }, { text, way }) => ({
      program: bin('codex', 'codex'),
      args: [
        'exec',
        '--skip-git-repo-check',
        '-c',
        'model_provider=cwm',
        '-m',
        model,
        ...(way === 'resume' ? ['resume', '--last'] : []),
        ...(way === 'fork' ? ['fork', newestId('.codex/sessions/**/*.jsonl', home)] : []),
        text,
      ],
    }),
  },
  {
    label: 'Qwen Code',
    client: 'qwen',
    namesFolder: true,
    // What it wants to remember, after most turns.
    errands: [5],
    cannotFork: true,
    setUp: (place) => void connect('qwen', place),
    command: ({ model }, { text, way }) => ({
      program: bin('qwen', 'qwen'),
      args: ['--auth-type', 'openai', '-m', model, '-y', ...(way === 'begin' ? [] : ['--continue']), '-p', text],
      // Else it does not wait for the first word of a long prompt where the machine is slow.
      env: { QWEN_CODE_API_TIMEOUT_MS: '0', QWEN_STREAM_IDLE_TIMEOUT_MS: '0', QWEN_STREAM_MAX_LIFETIME_MS: '0' },
    }),
  },
  {
    label: 'OpenCode',
    client: 'opencode',
    namesFolder: true,
    // A title.
    errands: [1],
    setUp: (place) => void connect('opencode', place),
    command: ({ model }, { text, way }) => ({
      program: bin('opencode', 'opencode'),
      args: [
        'run',
        '-m',
        `cwm/${model}`,
        ...(way === 'begin' ? [] : ['-c']),
        ...(way === 'fork' ? ['--fork'] : []),
        text,
      ],
    }),
  },
  {
    label: 'Pi',
    client: 'pi',
    namesFolder: true,
    forksAtEnd: true,
    branches: 3,
    setUp: ({ home, base, token, model }) => {
      const models = [{ id: model, contextWindow: 32_000, maxTokens: 1000 }];
      const cwm = { baseUrl: `${base}/v1`, api: 'openai-completions', apiKey: token, models };
      write(path.join(home, '.pi', 'agent', 'models.json'), JSON.stringify({ providers: { cwm } }));
    },
    command: ({ home, model }, { text, way }) => ({
      program: bin('pi', 'pi'),
      args: [
        '--offline',
        '--provider',
        'cwm',
        '--model',
        model,
        '-p',
        ...(way === 'resume' ? ['-c'] : []),
        ...(way === 'fork' ? ['--fork', newestId(piSessions, home)] : []),
        ...(way === 'first' ? ['--session', firstId(piSessions, home)] : []),
        text,
      ],
    }),
  },
  {
    label: 'Claude Code',
    client: 'claudeCode',
    namesFolder: true,
    forksAtEnd: true,
    setUp: (place) => void connect('claude-code', place),
    command: ({ home }, { text, way }) => ({
      program: bin('claudeCode', 'claude'),
      args: [
        '-p',
        ...(way === 'resume' || way === 'fork' ? ['-c'] : []),
        ...(way === 'fork' ? ['--fork-session'] : []),
        ...(way === 'first' ? ['--resume', firstId('.claude/projects/**/*.jsonl', home)] : []),
        text,
      ],
      // Telemetry alone is off: what it asks the model on its own account would come.
      env: { DISABLE_AUTOUPDATER: '1', DISABLE_TELEMETRY: '1', DISABLE_ERROR_REPORTING: '1' },
    }),
  },
  {
    label: 'gptme',
    client: 'gptme',
    namesFolder: true,
    cannotFork: true,
    // It tells the model twice, as the user, that an answer without a call is no end.
    ownMessages: 10,
    turns: 22,
    // A title, beside the answers; once more where there was too little to name.
    errands: [1, 2],
    command: ({ base, token, model }, { text }) => ({
      program: venvBin('gptme', 'gptme'),
      args: ['-n', '-m', `local/${model}`, '--name', 'story', text],
      // Without it, its counting of tokens waits for a download.
      env: { OPENAI_BASE_URL: `${base}/v1`, OPENAI_API_KEY: token, GPTME_TIKTOKEN_TIMEOUT: '0' },
    }),
  },
  {
    label: 'aider',
    client: 'aider',
    cannotFork: true,
    hasNoTools: true,
    // Examples, and what stands around the question.
    ownMessages: 7,
    // Its files and reminder stand behind the history, and move with each question.
    keeps: 0.6,
    command: ({ base, token, model }, { text, way }) => ({
      program: venvBin('aider', 'aider'),
      args: [
        '--no-git',
        '--yes-always',
        '--no-check-update',
        '--analytics-disable',
        '--no-show-release-notes',
        '--no-show-model-warnings',
        '--no-pretty',
        '--model',
        `openai/${model}`,
        ...(way === 'begin' ? [] : ['--restore-chat-history']),
        '--message',
        text,
      ],
      env: { OPENAI_API_BASE: `${base}/v1`, OPENAI_API_KEY: token, LITELLM_LOCAL_MODEL_COST_MAP: 'True' },
    }),
  },
  {
    label: 'Cline',
    client: 'cline',
    namesFolder: true,
    cannotFork: true,
    setUp: (place) => void connect('cline', place),
    command: ({ home }, { text, way }) => {
      // Else it leaves a process behind.
      const env = { CLINE_SESSION_BACKEND_MODE: 'local', TERM: 'xterm-256color' };
      const cline = bin('cline', 'cline');
      if (way === 'begin') return { program: cline, args: ['--json', text], env };
      // It goes on with a conversation in a terminal only.
      const terminal = path.join(import.meta.dirname, 'programs', 'clineTerminal.py');
      return { program: venvPython(clientFolder('vibe')), args: [terminal, cline, home, text], env };
    },
  },
  {
    label: 'Vibe',
    client: 'vibe',
    cannotFork: true,
    setUp: ({ home, base, model }) =>
      write(
        path.join(home, '.vibe', 'config.toml'),
        [
          `active_model = "cwm"`,
          `[[providers]]\nname = "cwm"\napi_base = "${base}/v1"\napi_key_env_var = "CWM_TOKEN"\napi_style = "openai"\nbackend = "generic"`,
          `[[models]]\nname = "${model}"\nprovider = "cwm"\nalias = "cwm"`,
        ].join('\n'),
      ),
    command: ({ token }, { text, way }) => ({
      program: venvBin('vibe', 'vibe'),
      args: ['--trust', '--auto-approve', ...(way === 'begin' ? [] : ['-c']), '-p', text],
      env: { CWM_TOKEN: token },
    }),
  },
];
