import path from 'node:path';
import { CwmError } from '../protocol/errors.ts';
import {
  hasJson,
  isEmptyJson,
  restoreJson,
  restoreJsonItem,
  setJson,
  upsertJsonItem,
  type JsonChange,
} from './jsonEdit.ts';

/** What a client is set up with. */
export interface ClientSetup {
  /** Without `/v1`. */
  readonly base: string;
  readonly token: string;
  readonly model: string;
  /** How much the model takes, prompt and answer together. Default: nobody knows, and most clients are told nothing. */
  readonly contextTokens?: number | undefined;
  /** Default: false. */
  readonly takesPictures?: boolean | undefined;
  readonly home: string;
  /** Folder of VS Code's user files; null: not known on this system. */
  readonly codeUser: string | null;
}

/** A change to the file of a client. */
export interface ConfigChange {
  readonly file: string;
  /** @param before null: there is no file. @throws Error for a file that cannot be understood. */
  apply(before: string | null): string;
  /**
   * @param before what was there before the change, whose values come back; null: there was no file; undefined: nobody knows.
   * @returns null: there was no file, and nothing but the change is in this one. @throws as {@link apply}.
   */
  undo(now: string, before: string | null | undefined): string | null;
}

export interface ClientConfig {
  readonly label: string;
  /** Null where nothing is written: the hint says it all. */
  change(setup: ClientSetup): ConfigChange | null;
  /** How to use it then. */
  hint(setup: ClientSetup): string;
}

const marks = ['# >>> cwm (written by "cwm connect")', '# <<< cwm'] as const;

/**
 * Lines between two marks at the end of a file, or a file of their own.
 *
 * @param clash what must not stand in the rest of the file, since the two together would be no valid file.
 */
const block = (file: string, lines: readonly string[], clash?: RegExp): ConfigChange => {
  const without = (text: string): string => {
    const [start, end] = [text.indexOf(marks[0]), text.indexOf(marks[1])];
    if (start === -1 || end < start) return text;
    return text.slice(0, start) + text.slice(end + marks[1].length).replace(/^\r?\n/, '');
  };
  return {
    file,
    apply: (before) => {
      const rest = without(before ?? '');
      const [found] = clash?.exec(rest) ?? [];
      if (found !== undefined) {
        throw new CwmError(
          'InvalidConfig',
          `The file has "${found.trim()}" already, which "cwm connect" did not write.`,
        );
      }
      const eol = rest.includes('\r\n') ? '\r\n' : '\n';
      const gap = rest === '' || rest.endsWith('\n') ? '' : eol;
      return `${rest}${gap}${[marks[0], ...lines, marks[1], ''].join(eol)}`;
    },
    undo: (now, before) => {
      const rest = without(now);
      // The line that the block needed to begin with ended nowhere before.
      const isLast = now.trimEnd().endsWith(marks[1]);
      const had = typeof before === 'string' && before !== '' && !before.endsWith('\n');
      return (had && isLast ? rest.replace(/\r?\n$/, '') : rest) || (before === null ? null : '');
    },
  };
};

/** The same provider under any spelling of TOML, or all of them in one inline table: TOML takes no table twice. */
const providerOfCodex =
  /^[ \t]*(\[[ \t]*)?["']?model_providers["']?[ \t]*(\.[ \t]*(cwm|"cwm"|'cwm')[ \t]*[\].=]|=[ \t]*\{)/m;
/** The file is one of our own. */
const anyText = /\S.*/;

/**
 * Fields of a JSON file; those that are undefined stay. Comments, order and everything else stay what they were.
 *
 * @param own what the client itself writes into a file that has nothing else.
 * @param needed without which the client believes nothing of the file: set where it is missing, and left there.
 */
const jsonFields = (
  file: string,
  fields: readonly JsonChange[],
  own = /(?!)/g,
  needed: readonly JsonChange[] = [],
): ConfigChange => ({
  file,
  apply: (before) => {
    const missing = needed.filter(({ outer, name }) => !hasJson(before ?? '', outer, name));
    return setJson(before ?? '', [...missing, ...fields.filter(({ value }) => value !== undefined)]);
  },
  undo: (now, before) => {
    // Without a backup, values under a client's own names may be the user's.
    const ours = fields.filter(({ name }) => before !== undefined || /^cwm/i.test(name));
    const rest = ours.reduce((text, { outer, name }) => restoreJson(text, before ?? '', outer, [name]), now);
    return before === null && isEmptyJson(rest.replaceAll(own, '')) ? null : rest;
  },
});

const inObject = (outer: string, fields: Readonly<Record<string, unknown>>): JsonChange[] =>
  Object.entries(fields).map(([name, value]) => ({ outer, name, value }));

/** What `cwm connect` knows. Each change leaves everything else of the client's as it was, and can be undone. */
export const clientConfigs: Readonly<Record<string, ClientConfig>> = {
  continue: {
    label: 'Continue',
    change: ({ base, token, model, home, contextTokens }) =>
      block(
        continueFile(home),
        [
          'name: cwm',
          'version: 1.0.0',
          'schema: v1',
          'models:',
          `  - name: ${JSON.stringify(model)}`,
          '    provider: openai',
          `    model: ${JSON.stringify(model)}`,
          `    apiBase: ${base}/v1`,
          `    apiKey: ${token}`,
          '    capabilities: [tool_use]',
          // The extension reads the one, and the command line the other.
          ...(contextTokens === undefined
            ? []
            : [
                `    contextLength: ${contextTokens}`,
                '    defaultCompletionOptions:',
                `      contextLength: ${contextTokens}`,
                `      maxTokens: ${answerTokens(contextTokens)}`,
              ]),
        ],
        anyText,
      ),
    hint: ({ home, model }) =>
      `Choose the model "${model}" in Continue. On the command line: cn --config ${shellWord(continueFile(home))}`,
  },
  opencode: {
    label: 'OpenCode',
    change: ({ base, token, model, home, contextTokens }) =>
      jsonFields(
        path.join(home, '.config', 'opencode', 'opencode.json'),
        inObject('provider', {
          cwm: {
            npm: '@ai-sdk/openai-compatible',
            name: 'Context Window Manager',
            options: { baseURL: `${base}/v1`, apiKey: token },
            models: {
              [model]:
                contextTokens === undefined
                  ? {}
                  : {
                      limit: { context: contextTokens, output: answerTokens(contextTokens, 32_000) },
                    },
            },
          },
        }),
        /"\$schema":\s*"[^"]*",?/g,
      ),
    hint: ({ model }) => `Run: opencode -m ${shellWord(`cwm/${model}`)}`,
  },
  codex: {
    label: 'Codex',
    change: ({ base, token, home }) =>
      block(
        path.join(home, '.codex', 'config.toml'),
        [
          '[model_providers.cwm]',
          'name = "Context Window Manager"',
          `base_url = "${base}/v1"`,
          'wire_api = "responses"',
          `http_headers = { "x-cwm-token" = "${token}" }`,
        ],
        providerOfCodex,
      ),
    hint: ({ model, contextTokens }) =>
      `Run: codex -c model_provider=cwm -m ${shellWord(model)}${contextTokens === undefined ? '' : ` -c model_context_window=${contextTokens}`}`,
  },
  'claude-code': {
    label: 'Claude Code',
    change: ({ base, token, model, home, contextTokens }) =>
      jsonFields(
        path.join(home, '.claude', 'settings.json'),
        inObject('env', {
          ANTHROPIC_BASE_URL: base,
          ANTHROPIC_AUTH_TOKEN: token,
          ANTHROPIC_MODEL: model,
          // It asks other models for titles and by its agents' aliases: the server has none of Anthropic's.
          ANTHROPIC_SMALL_FAST_MODEL: model,
          ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
          ANTHROPIC_DEFAULT_SONNET_MODEL: model,
          ANTHROPIC_DEFAULT_OPUS_MODEL: model,
          CLAUDE_CODE_MAX_CONTEXT_TOKENS: contextTokens && String(contextTokens),
          CLAUDE_CODE_MAX_OUTPUT_TOKENS: contextTokens && String(answerTokens(contextTokens, 32_000)),
        }),
      ),
    hint: () =>
      'Run: claude. Every session of Claude Code uses your own model server until "cwm connect claude-code --undo".',
  },
  cline: {
    label: 'Cline',
    // As "cline auth" writes it.
    change: ({ base, token, model, home, contextTokens }) =>
      jsonFields(
        path.join(home, '.cline', 'data', 'settings', 'providers.json'),
        [
          { outer: null, name: 'lastUsedProvider', value: clineProvider },
          ...inObject('providers', {
            [clineProvider]: {
              settings: {
                provider: clineProvider,
                apiKey: token,
                model,
                contextWindow: contextTokens,
                baseUrl: `${base}/v1`,
              },
              // It writes the time itself when it uses the entry.
              updatedAt: new Date(0).toISOString(),
              tokenSource: 'manual',
            },
          }),
        ],
        /"version":\s*1,?|"(modes|providers)":\s*\{\s*\},?/g,
        [{ outer: null, name: 'version', value: 1 }],
      ),
    hint: ({ model }) => `Run: cline -P ${clineProvider} -m ${shellWord(model)}`,
  },
  qwen: {
    label: 'Qwen Code',
    change: ({ base, token, model, home, contextTokens }) =>
      jsonFields(
        path.join(home, '.qwen', 'settings.json'),
        [
          ...inObject('modelProviders', {
            cwm: [
              {
                id: model,
                name: `${model} (Context Window Manager)`,
                baseUrl: `${base}/v1`,
                envKey: qwenKey,
                ...(contextTokens !== undefined && { generationConfig: { contextWindowSize: contextTokens } }),
              },
            ],
          }),
          ...inObject('providerProtocol', { cwm: 'openai' }),
          ...inObject('env', { [qwenKey]: token }),
        ],
        /"\$version":\s*\d+,?/g,
      ),
    hint: ({ model }) => `Run: qwen --auth-type openai -m ${shellWord(model)}`,
  },
  vscode: {
    label: "VS Code's chat",
    change: ({ base, token, model, codeUser, contextTokens = unknownContextTokens, takesPictures = false }) =>
      codeUser === null
        ? null
        : listEntry(path.join(codeUser, 'chatLanguageModels.json'), {
            name: 'cwm',
            vendor: 'customendpoint',
            apiType: 'chat-completions',
            // The key that is written here does not arrive; the path does.
            models: [
              {
                id: model,
                name: `${model} (Context Window Manager)`,
                url: chatUrl(base, token),
                toolCalling: true,
                vision: takesPictures,
                // VS Code offers no model without them.
                maxInputTokens: contextTokens - answerTokens(contextTokens),
                maxOutputTokens: answerTokens(contextTokens),
              },
            ],
          }),
    hint: ({ base, token, model, codeUser }) =>
      codeUser === null
        ? `The files of this VS Code are on another machine. Add a model of the vendor "customendpoint" there, with the URL ${chatUrl(base, token)}`
        : `Choose the model "${model} (Context Window Manager)" in VS Code's chat. A window that does not list it yet does so after "Developer: Reload Window".`,
  },
  curl: {
    label: 'curl',
    change: () => null,
    hint: ({ base, token, model }) =>
      `Run: curl ${base}/v1/chat/completions -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' ` +
      `-d ${shellWord(JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello.' }] }))}`,
  },
};

/** A model's id may be the path of its file: in quotes where a shell would take it apart. */
const shellWord = (text: string): string =>
  /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

const qwenKey = 'CWM_GATEWAY_TOKEN';
/** Cline's own name for any server of OpenAI's API. */
const clineProvider = 'openai-compatible';

/** Continue's extension adds the models of this folder to those of its own file, which stays as it is. */
const continueFile = (home: string): string => path.join(home, '.continue', 'models', 'cwm.yaml');

/** Of a server that does not say how much its model takes. */
const unknownContextTokens = 8192;
/** A quarter is left for the answer, but no more than any needs. */
const answerTokens = (contextTokens: number, most = 8192): number => Math.min(most, Math.floor(contextTokens / 4));

/** With the token in the path, for clients whose key does not arrive. */
const chatUrl = (base: string, token: string): string =>
  `${base.replace(/^(https?:\/\/[^/]+)/, `$1/t/${token}`)}/v1/chat/completions`;

/** One entry of a JSON list, known by its name. */
const listEntry = (
  file: string,
  entry: { readonly name: string; readonly [field: string]: unknown },
): ConfigChange => ({
  file,
  apply: (before) => upsertJsonItem(before ?? '', 'name', entry),
  undo: (now, before) => {
    const rest = restoreJsonItem(now, before ?? '', 'name', entry.name);
    return before === null && isEmptyJson(rest) ? null : rest;
  },
});
