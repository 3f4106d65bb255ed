import { describe, expect, test } from 'vitest';
import { clientConfigs, type ClientSetup } from '../../src/setup/clientConfigs.ts';

const setup: ClientSetup = {
  base: 'http://127.0.0.1:8765/p/demo',
  token: 'SECRET',
  model: 'gemma',
  home: '/home/me',
  codeUser: '/home/me/.config/Code/User',
};
const changeOf = (name: string) => clientConfigs[name]?.change(setup) ?? null;
const written = Object.keys(clientConfigs).filter((name) => changeOf(name) !== null);

describe('the configuration of a client', () => {
  test.each(written)('%s: a file of its own comes and goes', (name) => {
    const change = changeOf(name);
    const text = change?.apply(null) ?? '';
    expect(text).toContain('SECRET');
    expect(text).toContain('127.0.0.1:8765');
    expect(change?.apply(text)).toBe(text);
    expect(change?.undo(text, null)).toBeNull();
  });

  test.each([
    ['codex', 'model = "other"\n\n[profiles.x]\nmodel = "y"\n'],
    ['qwen', '{\n  "env": {\n    "OTHER": "1"\n  },\n  "$version": 4\n}\n'],
    [
      'cline',
      '{\n  "version": 1,\n  "lastUsedProvider": "cline",\n  "modes": {},\n  "providers": {\n    "cline": {}\n  }\n}\n',
    ],
    ['opencode', '{\n  "theme": "dark",\n  "provider": {\n    "other": {}\n  }\n}\n'],
    ['claude-code', '{\n  "env": {\n    "OTHER": "1"\n  }\n}\n'],
    ['vscode', '[\n  {\n    "name": "other"\n  }\n]\n'],
  ])('%s: everything else stays what it was', (name, before) => {
    const change = changeOf(name);
    const text = change?.apply(before) ?? '';
    expect(text).not.toBe(before);
    expect(change?.undo(text, before)).toBe(before);
  });

  test.each([
    ['claude-code', '{"env":{"ANTHROPIC_AUTH_TOKEN":"sk-mine","ANTHROPIC_BASE_URL":"https://corp"}}'],
    ['opencode', '{"provider":{"cwm":{"npm":"mine"}}}'],
    ['vscode', '[{"name":"cwm","vendor":"mine"}]'],
    ['qwen', '{"modelProviders":{"cwm":[{"id":"mine"}]},"env":{"A":"b"}}'],
    ['cline', '{"version":1,"lastUsedProvider":"x","providers":{"openai-compatible":{"settings":{"apiKey":"sk"}}}}'],
  ])('%s: values that the change replaced come back, also into a file that was changed since', (name, before) => {
    const change = changeOf(name);
    const since = JSON.stringify(JSON.parse(change?.apply(before) ?? ''), null, 4);
    expect(JSON.parse(change?.undo(since, before) ?? '')).toEqual(JSON.parse(before));
  });

  test.each(written)('%s: a file that may have been there before is not removed', (name) => {
    const text = changeOf(name)?.apply(null) ?? '';
    expect(changeOf(name)?.undo(text, '')).not.toBeNull();
    expect(changeOf(name)?.undo(text, undefined)).not.toBeNull();
  });

  test('cline: a provider that the user added since stays readable: its version is not taken out', () => {
    const change = changeOf('cline');
    const written = JSON.parse(change?.apply(null) ?? '') as { providers: object };
    const since = JSON.stringify({ ...written, providers: { ...written.providers, anthropic: { settings: {} } } });
    expect(JSON.parse(change?.undo(since, null) ?? '')).toMatchObject({ version: 1, providers: { anthropic: {} } });
    expect(change?.apply('{"version":2}')).toContain('"version":2');
  });

  test('the line for a shell has quotes around what it would take apart', () => {
    const model = "/my models/it's.gguf";
    const hint = clientConfigs['qwen']?.hint({ ...setup, model });
    expect(hint).toBe(`Run: qwen --auth-type openai -m '/my models/it'\\''s.gguf'`);
  });

  test("claude-code: without a backup, the user's own values stay", () => {
    const own = '{"env":{"ANTHROPIC_AUTH_TOKEN":"sk-mine"}}';
    expect(changeOf('claude-code')?.undo(own, undefined)).toBe(own);
  });

  test.each([
    ['opencode', '{\n\t// mine\n\t"theme": "dark", /* x */\n\t"provider": {\n\t\t"other": {}\n\t},\n}\n'],
    ['claude-code', '{\r\n  "env": { "A": "b" }, // mine\r\n  "hooks": {}\r\n}\r\n'],
    ['vscode', '[\n  // mine\n  { "name": "other" }\n]\n'],
  ])('%s: comments and commas stay', (name, before) => {
    const text = changeOf(name)?.apply(before) ?? '';
    for (const comment of before.match(/\/\/ mine|\/\* x \*\/|\r\n/g) ?? []) expect(text).toContain(comment);
    expect(changeOf(name)?.apply(text)).toBe(text);
  });

  test('a file that cannot be understood is refused, and so stays', () => {
    expect(() => changeOf('opencode')?.apply('{ "provider": [] }')).toThrow();
    expect(() => changeOf('vscode')?.apply('{}')).toThrow();
    expect(() => changeOf('claude-code')?.apply('{')).toThrow();
  });

  test.each([
    ['codex', '[model_providers.cwm]\nname = "mine"\n'],
    ['codex', 'model = "x"\n  [ model_providers . "cwm" ]\n'],
    ['codex', '[model_providers.cwm.http_headers]\nx = "y"\n'],
    ['codex', 'model_providers.cwm.name = "mine"\n'],
    ['codex', 'model_providers = { other = { name = "mine" } }\n'],
    ['continue', 'name: mine\n'],
  ])('%s: a file with an entry of the same name is refused, since both would be no valid file: %j', (name, before) => {
    expect(() => changeOf(name)?.apply(before)).toThrow('already');
  });

  test.each([
    ['codex', '[model_providers.cwm2]\nname = "[model_providers.cwm]"\n# [model_providers.cwm]\n'],
    ['codex', 'model = "x"\r\n[model_providers.other]\r\nname = "mine"\r\n'],
    ['codex', 'model = "x"'],
  ])('%s: a file that only looks like it is changed and put back, in its own line ends: %j', (name, before) => {
    const change = changeOf(name);
    const text = change?.apply(before) ?? '';
    expect(text.startsWith(before)).toBe(true);
    expect(change?.apply(text)).toBe(text);
    if (before.includes('\r\n')) expect(text).not.toMatch(/[^\r]\n/);
    expect(change?.undo(text, before)?.trimEnd()).toBe(before.trimEnd());
  });

  test.each([
    // As the client leaves its file behind once it has run.
    ['cline', (text: string) => JSON.stringify({ modes: {}, ...(JSON.parse(text) as object) }, null, 2)],
    ['qwen', (text: string) => JSON.stringify({ ...(JSON.parse(text) as object), $version: 4 }, null, 2)],
  ])('%s: a file that was not there goes, although the client wrote into it since', (name, rewritten) => {
    const change = changeOf(name);
    expect(change?.undo(rewritten(change.apply(null)), null)).toBeNull();
  });

  test.each([
    ['continue', 'contextLength: 32768'],
    ['opencode', '"context": 32768'],
    ['claude-code', '"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "32768"'],
    ['claude-code', '"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "8192"'],
    ['cline', '"contextWindow": 32768'],
    ['qwen', '"contextWindowSize": 32768'],
    ['vscode', '"maxInputTokens": 24576'],
  ])('%s is told how much the model takes, where the server says it: %s', (name, said) => {
    const config = clientConfigs[name];
    expect(config?.change({ ...setup, contextTokens: 32_768 })?.apply(null)).toContain(said);
    if (name !== 'vscode') expect(config?.change(setup)?.apply(null)).not.toContain(said.split(' ')[0]);
  });

  test('codex is told so on its command line', () => {
    expect(clientConfigs['codex']?.hint({ ...setup, contextTokens: 32_768 })).toMatch(
      / -c model_context_window=32768$/,
    );
    expect(clientConfigs['codex']?.hint(setup)).not.toContain('context_window');
  });

  test('claude-code asks for no model that the server does not have', () => {
    const { env } = JSON.parse(changeOf('claude-code')?.apply(null) ?? '') as { env: Record<string, string> };
    const named = Object.entries(env).filter(([name]) => name.endsWith('_MODEL'));
    expect(named).toHaveLength(5);
    expect(new Set(named.map(([, model]) => model))).toEqual(new Set(['gemma']));
  });

  test.each(written)('%s: how to use it then says no token', (name) => {
    expect(clientConfigs[name]?.hint(setup)).not.toContain('SECRET');
  });

  test("VS Code's token stands in the path, since its key does not arrive", () => {
    // A model without the second of them is none by VS Code's own schema.
    expect(changeOf('vscode')?.apply(null)).toMatch(/"maxInputTokens": 6144,\s+"maxOutputTokens": 2048/);
    expect(changeOf('vscode')?.apply(null)).toContain('"vision": false');
    const sees = clientConfigs['vscode']?.change({ ...setup, takesPictures: true });
    expect(sees?.apply(null)).toContain('"vision": true');
    expect(changeOf('vscode')?.apply(null)).toContain('"http://127.0.0.1:8765/t/SECRET/p/demo/v1/chat/completions"');
  });
});
