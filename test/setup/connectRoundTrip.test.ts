import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { clientConfigs } from '../../src/setup/clientConfigs.ts';
import { planConnection, undoConnection, type ConnectDesk } from '../../src/setup/clientConnection.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();

/** A file as people have it, and what its client or its user may write into it later. */
interface Own {
  readonly client: string;
  readonly file: string;
  readonly text: string;
  readonly later: (text: string) => string;
}

const own: readonly Own[] = [
  {
    client: 'codex',
    file: '.codex/config.toml',
    text: '# my settings\nmodel = "large"   # paid for\n\n[model_providers.corp]\nname = "Körper & Co"\n\n[mcp_servers.files]\ncommand = "npx"\n# the end\n',
    later: (text) => text.replace('# my settings', '# my settings\n# and more'),
  },
  {
    client: 'qwen',
    file: '.qwen/settings.json',
    text: '{\n  "env": { "GEMINI_API_KEY": "own" }, // keys\n  "ui": { "theme": "dark" },\n  "$version": 4\n}\n',
    later: (text) => text.replace('"dark"', '"light"'),
  },
  {
    client: 'cline',
    file: '.cline/data/settings/providers.json',
    text: '{\n  "version": 1,\n  "lastUsedProvider": "anthropic",\n  "modes": {},\n  "providers": {\n    "anthropic": {\n      "settings": { "provider": "anthropic", "apiKey": "own" }\n    }\n  }\n}\n',
    later: (text) => text.replace('"own"', '"other"'),
  },
  {
    client: 'cline',
    file: '.cline/data/settings/providers.json',
    text: '{\n  "version": 1,\n  "lastUsedProvider": "openai-compatible",\n  "providers": {\n    "openai-compatible": {\n      "settings": { "baseUrl": "https://corp" }\n    },\n    "x": {}\n  }\n}\n',
    later: (text) => text.replace('"x"', '"y"'),
  },
  {
    client: 'opencode',
    file: '.config/opencode/opencode.json',
    text: '{\n  // mine\n  "$schema": "https://opencode.ai/config.json",\n  "provider": {\n    "corp": { "npm": "@corp/ai", "models": {"a":{},  "b": {}} } // spaced\n  },\n\n  "theme":"dark"\n}\n',
    later: (text) => text.replace('"dark"', '"light"'),
  },
  {
    client: 'opencode',
    file: '.config/opencode/opencode.json',
    text: '{"theme":"dark","keybinds":{"leader":"ctrl+x"}}\n',
    later: (text) => text.replace('"dark"', '"light"'),
  },
  {
    client: 'claude-code',
    file: '.claude/settings.json',
    text: '{\n\t"env": { "EDITOR": "vi" }, // short\n\t"permissions": {"allow": ["Bash(npm test)"],\n\t\t"deny": [ ]},\n\t/* last */\n}\n',
    later: (text) => text.replace('npm test', 'npm run test'),
  },
  {
    client: 'claude-code',
    file: '.claude/settings.json',
    text: '{\n  "model": "large",\n  "env": {},\n  "hooks": {}\n}\n',
    later: (text) => text.replace('"large"', '"larger"'),
  },
  {
    client: 'opencode',
    file: '.config/opencode/opencode.json',
    text: '{\n  "provider": { // whose\n    /* none */\n  },\n  "theme": "dark", // the last, with its comma\n}\n',
    later: (text) => text.replace('"dark"', '"light"'),
  },
  {
    client: 'claude-code',
    file: '.claude/settings.json',
    text: '{ // all\n  "env": {\n    "A": "1",\n    "B": "2", // two\n  },\n  "model": "large",\n}\n',
    later: (text) => text.replace('"1"', '"one"'),
  },
  {
    client: 'claude-code',
    file: '.claude/settings.json',
    text: '{\n  "model": "large",\n  "env": { "ANTHROPIC_MODEL":   "own", "ANTHROPIC_BASE_URL": "https://corp" }\n}\n',
    later: (text) => text.replace('"large"', '"larger"'),
  },
  {
    client: 'vscode',
    file: 'User/chatLanguageModels.json',
    text: '[\n\t// mine\n\t{ "name": "corp", "vendor": "customendpoint", "models": [ {"id":"a"} ] }\n]\n',
    later: (text) => text.replace('"corp"', '"corp 2"'),
  },
];

const spelled = own.flatMap((each) =>
  ['\n', '\r\n'].flatMap((eol) =>
    [true, false].map((endsLine) => {
      const inLines = each.text.replaceAll('\n', eol);
      const text = endsLine ? inLines : inLines.trimEnd();
      return { ...each, text, later: (now: string) => each.later(now.replaceAll('\r\n', '\n')).replaceAll('\n', eol) };
    }),
  ),
);

function connecting(client: string, name: string, text: string | null) {
  const home = makeDirectory();
  const file = path.join(home, name);
  mkdirSync(path.dirname(file), { recursive: true });
  if (text !== null) writeFileSync(file, text);
  const called: string[] = [];
  const answers: Record<string, object> = {
    gatewayClients: { url: 'http://127.0.0.1:8765', items: [{ name: client, createdAt: 'now', requests: 0 }] },
    openGateway: { url: 'http://127.0.0.1:8765' },
    listModels: { engine: 'e', used: 'm', models: [{ id: 'gemma 3', use: 'chat' }], notices: [] },
    health: { engines: [] },
    putGatewayClient: { token: 'SECRET' },
  };
  const call = async (route: string) => {
    called.push(route);
    return answers[route] ?? {};
  };
  const desk: ConnectDesk = { call: call as never, env: { HOME: home }, codeUser: path.join(home, 'User') };
  return {
    file,
    called,
    connect: async () => await (await planConnection(desk, { kind: client, project: 'a b' })).make(),
    undo: () => undoConnection(desk, client),
    now: () => readFileSync(file, 'utf8'),
    beside: () => readdirSync(path.dirname(file)),
  };
}

/** What stands between the longest beginning and the longest end that two texts have in common, but for the comma before it. */
function added(before: string, after: string): string | null {
  const [from, to] = [before.replaceAll(',', ''), after.replaceAll(',', '')];
  let start = 0;
  while (start < from.length && from[start] === to[start]) start++;
  const rest = from.length - start;
  return to.endsWith(from.slice(start)) ? to.slice(start, to.length - rest) : null;
}

describe('cwm connect and --undo', () => {
  test.each(spelled)('$client: adds to $text, and changes no byte of it', async ({ client, file, text }) => {
    const { connect, undo, now, beside } = connecting(client, file, text);
    await connect();
    // What is written into several places is looked at where it is taken back.
    const isOnePlace = !['qwen', 'cline'].includes(client) && !text.includes('ANTHROPIC_');
    expect(isOnePlace ? added(text, now()) : now()).toContain('SECRET');
    await undo();
    expect(now()).toBe(text);
    expect(beside()).toEqual([path.basename(file)]);
  });

  test.each(spelled)(
    '$client: takes back only what it added to $text, where the file was changed since',
    async ({ client, file, text, later }) => {
      const { connect, undo, now, beside, file: whole } = connecting(client, file, text);
      await connect();
      writeFileSync(whole, later(now()));
      await undo();
      expect(now()).toBe(later(text));
      expect(beside()).toEqual([path.basename(file)]);
    },
  );

  test.each(Object.keys(clientConfigs))('%s: with no file of its own before, leaves nothing behind', async (client) => {
    const change = clientConfigs[client]?.change({ base: '', token: '', model: '', home: '', codeUser: 'User' });
    const { connect, undo, file, called, beside } = connecting(client, change?.file ?? 'none', null);
    expect(await connect()).not.toBe('');
    expect(existsSync(file)).toBe(change !== null);
    await undo();
    expect(existsSync(file)).toBe(false);
    expect(beside()).toEqual([]);
    expect(called.filter((route) => route.endsWith('GatewayClient'))).toEqual([
      'putGatewayClient',
      'deleteGatewayClient',
    ]);
  });
});
