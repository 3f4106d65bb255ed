import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { backendSettings, type BackendSetting } from '../../src/protocol/settings/backendSettings.ts';
import { productVersion } from '../../src/protocol/version.ts';
import { languageModelTools } from '../../scripts/chatTools.ts';
import {
  chatCommands,
  clientsViewId,
  chatParticipantId,
  commandCategory,
  commandInputs,
  commandTitles,
  contextKeys,
  cwindowLanguageId,
  mcpProviderId,
  modelVendor,
  receiptLanguageId,
  sessionsViewId,
  treeContextValues,
  viewContainerId,
} from '../../src/vscode/contributions.ts';
import { settings } from '../../src/vscode/settings/settingTable.ts';

interface MenuEntry {
  readonly command: string;
  readonly when?: string;
  readonly group?: string;
}
interface SettingSchema {
  readonly type: string;
  readonly default: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly scope: string;
  readonly markdownDescription?: string;
}
interface Manifest {
  readonly version: string;
  readonly main: string;
  readonly icon: string;
  readonly activationEvents: readonly string[];
  readonly extensionKind: readonly string[];
  readonly capabilities: { readonly untrustedWorkspaces: { readonly restrictedConfigurations: readonly string[] } };
  readonly contributes: {
    readonly commands: readonly { command: string; title: string; category: string }[];
    readonly configuration: { readonly properties: Readonly<Record<string, SettingSchema>> };
    readonly viewsContainers: { readonly activitybar: readonly { id: string; icon: string }[] };
    readonly views: Readonly<Record<string, readonly { id: string; icon: string }[]>>;
    readonly viewsWelcome: readonly { view: string; contents: string; when: string }[];
    readonly walkthroughs: readonly {
      readonly steps: readonly {
        readonly id: string;
        readonly description: string;
        readonly completionEvents: readonly string[];
        readonly media: Readonly<Record<string, string>>;
      }[];
    }[];
    readonly menus: Readonly<Record<string, readonly MenuEntry[]>>;
    readonly languages: readonly { id: string; configuration?: string }[];
    readonly chatParticipants: readonly { id: string; commands: readonly { name: string }[] }[];
    readonly languageModelChatProviders: readonly { vendor: string; managementCommand: string }[];
    readonly mcpServerDefinitionProviders: readonly { id: string }[];
    readonly languageModelTools: readonly object[];
    readonly grammars: readonly { language: string; path: string }[];
  };
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Manifest;
const { contributes } = manifest;
const steps = contributes.walkthroughs.flatMap((walkthrough) => walkthrough.steps);
const menuEntries = Object.values(contributes.menus).flat();
const whens = [...menuEntries, ...contributes.viewsWelcome].flatMap(({ when }) => when ?? []);
const sourceFiles = readdirSync(path.join(root, 'src/vscode'), { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);
const source = sourceFiles.map((file) => readFileSync(path.join(root, 'src/vscode', file), 'utf8')).join('\n');

/** Whether a menu's condition is met by a row. */
function isFor(when: string, value: string): boolean {
  const literal = /viewItem == ([\w.]+)/.exec(when)?.[1];
  const pattern = /viewItem =~ \/(.+?)\//.exec(when)?.[1];
  return literal === value || (pattern !== undefined && new RegExp(pattern).test(value));
}

describe('package.json and the code', () => {
  test('the walkthrough leads from the choice of a model server to the receipt', () => {
    expect(steps.map(({ id }) => id)).toEqual(['server', 'session', 'freeze', 'thaw', 'receipt']);
  });

  test('every step of the walkthrough has a picture of its own, described in words; a drawing takes its colours from the theme', () => {
    const pictures = steps.map(({ media }) => media['image'] ?? media['svg'] ?? '');
    expect(new Set(pictures).size).toBe(steps.length);
    expect(steps.filter(({ media }) => (media['altText'] ?? '').length < 20)).toEqual([]);
    for (const picture of pictures) {
      const bytes = readFileSync(path.join(root, picture));
      if (!picture.endsWith('.svg')) continue;
      const colours = Array.from(bytes.toString().matchAll(/(?:fill|stroke)="([^"]+)"/g), ([, colour = '']) => colour);
      expect(colours.filter((colour) => colour !== 'none' && !colour.startsWith('var(--vscode-'))).toEqual([]);
    }
  });

  test('V1 the manifest declares exactly the commands that the code registers', () => {
    expect(contributes.commands.map(({ command }) => command).sort()).toEqual(Object.keys(commandInputs).sort());
  });

  test('a command has one title, in the manifest and in the code', () => {
    expect(Object.fromEntries(contributes.commands.map(({ command, title }) => [command, title]))).toEqual(
      commandTitles,
    );
  });

  test('V1 every command is found in the palette under one category and by a title of its own', () => {
    expect(contributes.commands.filter(({ category }) => category !== commandCategory)).toEqual([]);
    const titles = contributes.commands.map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
  });

  test('every menu entry, every link of a welcome text and every step of the walkthrough names a command that exists', () => {
    const linked = [
      ...contributes.viewsWelcome.map(({ contents }) => contents),
      ...steps.map(({ description }) => description),
    ].map((text) => Array.from(text.matchAll(/\(command:([\w.]+)\)/g), ([, command = '']) => command));
    const completing = steps.flatMap(({ completionEvents }) => completionEvents);
    expect(linked.filter((commands) => commands.length === 0)).toEqual([]);
    expect(completing.filter((event) => !event.startsWith('onCommand:'))).toEqual([]);
    const named = [...linked.flat(), ...completing.map((event) => event.slice('onCommand:'.length))];
    const unknown = [...menuEntries.map(({ command }) => command), ...named].filter(
      (command) => !Object.hasOwn(commandInputs, command),
    );
    expect(unknown).toEqual([]);
  });

  test('V5 settings have the same names, defaults and ranges in both', () => {
    const declared = Object.entries(contributes.configuration.properties).map(([id, schema]) => {
      const range = schema.minimum === undefined ? {} : { minimum: schema.minimum, maximum: schema.maximum };
      const values = schema.enum === undefined ? {} : { values: schema.enum };
      return [id, { default: schema.default, ...range, ...values }];
    });
    expect(Object.fromEntries(declared)).toEqual(settings);
  });

  test('every setting is read somewhere, says what it does, and has a scope', () => {
    for (const [id, schema] of Object.entries(contributes.configuration.properties)) {
      const isOfBackend = Object.values<BackendSetting>(backendSettings).some(({ setting }) => setting === id);
      expect(isOfBackend || source.includes(`setting('${id}')`), `${id} is read`).toBe(true);
      expect(schema.markdownDescription?.length ?? 0, id).toBeGreaterThan(20);
      expect(schema.scope, id).not.toBe('');
    }
  });

  test('S2-15 a module that the backend runs is named by user settings alone: no folder, trusted or not, can have one run', () => {
    const { scope } = contributes.configuration.properties['cwm.memoryPolicyFile'] ?? {};
    expect(scope).toBe('machine');
  });

  test('what holds agents back is set by user settings alone: agents write the files of a folder', () => {
    const limits = Object.entries(contributes.configuration.properties).filter(([id]) => id.startsWith('cwm.limits.'));
    expect(limits.map(([, { scope }]) => scope)).toEqual(['machine', 'machine', 'machine']);
  });

  test('what the table of backend settings names is a setting here', () => {
    const named = Object.values<BackendSetting>(backendSettings).flatMap(({ setting }) => setting ?? []);
    expect(named.length).toBeGreaterThan(2);
    for (const id of named) expect(Object.keys(settings)).toContain(id);
  });

  test('the pattern of the engine takes what an engine may be, and nothing else', () => {
    const pattern = new RegExp(contributes.configuration.properties['cwm.engine']?.pattern ?? '(?!)');
    for (const good of ['', 'embedded', 'embedded:/models/a b.gguf', 'http://localhost:8000', 'https://gpu.lan/v1']) {
      expect(good).toMatch(pattern);
    }
    for (const bad of ['localhost:8000', 'embedded:', 'embeddedx', 'ftp://x']) expect(bad).not.toMatch(pattern);
  });

  test('an untrusted folder cannot change what all folders share: model server, storage, and its limits', () => {
    const restricted = manifest.capabilities.untrustedWorkspaces.restrictedConfigurations;
    const ofOneAnswer = ['cwm.answer.maxTokens'];
    expect([...restricted, ...ofOneAnswer].sort()).toEqual(Object.keys(settings).sort());
  });

  test('trust and remote are declared: little in an untrusted folder, virtual folders work, and it runs where the files are', () => {
    expect(manifest.capabilities).toMatchObject({
      untrustedWorkspaces: { supported: 'limited', description: expect.stringContaining('checkpoints') as unknown },
      virtualWorkspaces: { supported: 'limited' },
    });
    // On a remote machine "localhost" and the folder are the remote ones; without one there, it runs beside the user.
    expect(manifest.extensionKind).toEqual(['workspace', 'ui']);
  });

  test('views and their container have the ids that the code uses', () => {
    expect(contributes.viewsContainers.activitybar.map(({ id }) => id)).toEqual([viewContainerId]);
    expect(contributes.views[viewContainerId]?.map(({ id }) => id)).toEqual([sessionsViewId, clientsViewId]);
    expect(contributes.viewsWelcome.filter(({ view }) => view !== sessionsViewId && view !== clientsViewId)).toEqual(
      [],
    );
  });

  test('every context key in a "when" is one that the code sets, and each one is used', () => {
    const used = new Set(
      whens
        .flatMap((when) => when.match(/\bcwm\.\w+/g) ?? [])
        .filter((key) => key !== sessionsViewId && key !== clientsViewId),
    );
    expect([...used].sort()).toEqual([...contextKeys].sort());
  });

  test('V2 every row that a menu is for exists, and every row has a menu or a click', () => {
    const literal = whens.flatMap((when) =>
      Array.from(when.matchAll(/viewItem == ([\w.]+)/g), ([, value = '']) => value),
    );
    const patterns = whens.flatMap((when) =>
      Array.from(when.matchAll(/viewItem =~ \/(.+?)\//g), ([, value = '']) => value),
    );
    for (const value of literal) expect(treeContextValues).toContain(value);
    for (const pattern of patterns)
      expect(treeContextValues.some((value) => new RegExp(pattern).test(value))).toBe(true);
    const reached = treeContextValues.filter(
      (value) => literal.includes(value) || patterns.some((pattern) => new RegExp(pattern).test(value)),
    );
    expect([...reached, 'more'].sort()).toEqual([...treeContextValues].sort());
  });

  test('a session has the menu of its memory where that is on, and every other entry either way', () => {
    const entries = contributes.menus['view/item/context'] ?? [];
    const of = (value: string) => entries.filter(({ when }) => isFor(when ?? '', value)).map(({ command }) => command);
    for (const value of ['session.idle', 'session.busy', 'session.frozen', 'session.expired'])
      expect(of(`${value}.memory`).filter((command) => command !== 'cwm.showMemory')).toEqual(of(value));
    expect(of('session.frozen.memory')).toContain('cwm.showMemory');
    expect(of('session.frozen')).not.toContain('cwm.showMemory');
  });

  test('no row has more than three inline actions', () => {
    const inline = contributes.menus['view/item/context']?.filter(({ group }) => group?.startsWith('inline')) ?? [];
    for (const value of treeContextValues) {
      expect(inline.filter(({ when }) => isFor(when ?? '', value)).length, value).toBeLessThanOrEqual(3);
    }
  });

  test('every file that the manifest names is there', () => {
    const files = [
      manifest.icon,
      ...contributes.viewsContainers.activitybar.map(({ icon }) => icon),
      ...Object.values(contributes.views).flatMap((views) => views.map(({ icon }) => icon)),
      ...contributes.languages.flatMap(({ configuration }) => configuration ?? []),
      ...contributes.grammars.map((grammar) => grammar.path),
      ...steps.flatMap(({ media }) => media['image'] ?? media['svg'] ?? 'a step without a picture'),
    ];
    expect(files.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
  });

  test('activation waits for no event but the end of the start-up', () => {
    expect(manifest.activationEvents).toEqual(['onStartupFinished']);
  });

  test('V8 the participant of the chat has the slash commands that the code answers', () => {
    expect(contributes.chatParticipants.map(({ id }) => id)).toEqual([chatParticipantId]);
    expect(contributes.chatParticipants.flatMap(({ commands }) => commands.map(({ name }) => name))).toEqual([
      ...chatCommands,
    ]);
    expect(contributes.mcpServerDefinitionProviders.map(({ id }) => id)).toEqual([mcpProviderId]);
    const [models] = contributes.languageModelChatProviders;
    expect(models?.vendor).toBe(modelVendor);
    expect(Object.keys(commandInputs)).toContain(models?.managementCommand);
  });

  test('V8 S0-01 agents of the chat read of the twelve tools what the MCP server says of them: else run scripts/chatTools.ts', () => {
    expect(contributes.languageModelTools).toEqual(languageModelTools());
    expect(contributes.languageModelTools).toHaveLength(12);
  });

  test('client and backend agree on the version of the package', () => {
    expect(manifest.version).toBe(productVersion);
  });

  test('receipts and conversations in one file have a language and a grammar', () => {
    const ours = [receiptLanguageId, cwindowLanguageId];
    expect(contributes.languages.map(({ id }) => id)).toEqual(expect.arrayContaining(ours));
    expect(contributes.grammars.map(({ language }) => language)).toEqual(ours);
  });
});
