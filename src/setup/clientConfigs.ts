import path from 'node:path';
import { CwmError } from '../protocol/errors.ts';
import { isEmptyJson, restoreJson, restoreJsonItem, setJson, upsertJsonItem } from './jsonEdit.ts';

/** What a client is set up with. */
export interface ClientSetup {
  /** Without `/v1`. */
  readonly base: string;
  readonly token: string;
  readonly model: string;
  /** How much the model takes, prompt and answer together. Default: 8192. */
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

/** Fields of one object of a JSON file. Comments, order and everything else stay what they were. */
const jsonFields = (file: string, outer: string, fields: Readonly<Record<string, unknown>>): ConfigChange => ({
  file,
  apply: (before) =>
    setJson(
      before ?? '',
      Object.entries(fields).map(([name, value]) => ({ path: [outer, name], value })),
    ),
  undo: (now, before) => {
    // Without a backup, values under a client's own names may be the user's.
    const names = Object.keys(fields).filter((name) => before !== undefined || name === 'cwm');
    const rest = restoreJson(now, before ?? '', outer, names);
    return before === null && isEmptyJson(rest) ? null : rest;
  },
});

/** What `cwm connect` knows. Each change leaves everything else of the client's as it was, and can be undone. */
export const clientConfigs: Readonly<Record<string, ClientConfig>> = {
  continue: {
    label: 'Continue',
    change: ({ base, token, model, home }) =>
      block(
        path.join(home, '.continue', 'cwm.yaml'),
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
        ],
        anyText,
      ),
    hint: ({ home }) => `Run: cn --config ${path.join(home, '.continue', 'cwm.yaml')}`,
  },
  opencode: {
    label: 'OpenCode',
    change: ({ base, token, model, home }) =>
      jsonFields(path.join(home, '.config', 'opencode', 'opencode.json'), 'provider', {
        cwm: {
          npm: '@ai-sdk/openai-compatible',
          name: 'Context Window Manager',
          options: { baseURL: `${base}/v1`, apiKey: token },
          models: { [model]: {} },
        },
      }),
    hint: ({ model }) => `Run: opencode -m cwm/${model}`,
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
    hint: ({ model }) => `Run: codex -c model_provider=cwm -m ${model}`,
  },
  'claude-code': {
    label: 'Claude Code',
    change: ({ base, token, model, home }) =>
      jsonFields(path.join(home, '.claude', 'settings.json'), 'env', {
        ANTHROPIC_BASE_URL: base,
        ANTHROPIC_AUTH_TOKEN: token,
        ANTHROPIC_MODEL: model,
      }),
    hint: () =>
      'Run: claude. Every session of Claude Code uses your own model server until "cwm connect claude-code --undo".',
  },
  cline: {
    label: 'Cline',
    change: () => null,
    hint: ({ base, token, model }) => `Run: cline auth -p openai -k ${token} -m ${model} -b ${base}/v1`,
  },
  qwen: {
    label: 'Qwen Code',
    change: ({ base, token, model, home }) =>
      block(path.join(home, '.qwen', '.env'), [
        `OPENAI_BASE_URL=${base}/v1`,
        `OPENAI_API_KEY=${token}`,
        `OPENAI_MODEL=${model}`,
      ]),
    hint: () => 'Run: qwen --auth-type openai',
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
      `-d '{"model": "${model}", "messages": [{"role": "user", "content": "Hello."}]}'`,
  },
};

/** Of a server that does not say how much its model takes. */
const unknownContextTokens = 8192;
/** A quarter is left for the answer, but no more than any needs. */
const answerTokens = (contextTokens: number): number => Math.min(8192, Math.floor(contextTokens / 4));

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
