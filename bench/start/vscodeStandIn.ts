import { readdirSync, readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import path from 'node:path';

/** What the editor says by a name that matters: everything else that it has is a stand-in, too, which can be called, made and read. */
const answers: Readonly<Record<string, unknown>> = {
  isTrusted: true,
  workspaceFolders: [],
  visibleTextEditors: [],
  subscriptions: [],
  activeTextEditor: undefined,
  remoteName: undefined,
  language: 'en',
};

/** Code of the editor that takes a promise from it. */
const promises = /\.(executeCommand|findFiles|openTextDocument|selectChatModels|secrets\.get|store|update)$/;

/**
 * Anything of the editor's interface.
 *
 * @param folder the path that every URI has.
 * @param failures what is written to a log as an error.
 */
export function standIn(name: string, folder: string, failures: string[]): unknown {
  const parts = new Map<string | symbol, unknown>();
  const part = (key: string): unknown => {
    if (key in answers) return answers[key];
    if (key === 'fsPath' || key === 'path') return folder;
    return standIn(`${name}.${key}`, folder, failures);
  };
  return new Proxy(function () {}, {
    get(target, key) {
      if (key === 'prototype') return target.prototype as unknown;
      if (key === Symbol.toPrimitive) return () => name;
      if (key === Symbol.iterator) return () => [].values();
      if (typeof key === 'symbol' || key === 'then') return undefined;
      if (!parts.has(key)) parts.set(key, part(key));
      return parts.get(key);
    },
    apply(_target, _this, args: readonly unknown[]) {
      if (name.endsWith('.error')) failures.push(args.map((arg) => (arg instanceof Error ? arg.stack : arg)).join(' '));
      if (promises.test(name)) return Promise.resolve(undefined);
      // Of a setting, a state or a secret: what it is without one.
      if (name.endsWith('.get')) return args[1];
      return standIn(`${name}()`, folder, failures);
    },
    set(_target, key, value) {
      parts.set(key, value);
      return true;
    },
    construct: () => standIn(`new ${name}`, folder, failures) as object,
  });
}

/** From now on, `import … from 'vscode'` finds the stand-in, with every name that the bundles in this folder want. */
export function standInForVscode(bundles: string, vscode: unknown): void {
  const names = new Set(
    readdirSync(bundles)
      .filter((file) => file.endsWith('.js'))
      .flatMap((file) => namesIn(readFileSync(path.join(bundles, file), 'utf8'))),
  );
  (globalThis as { cwmVscode?: unknown }).cwmVscode = vscode;
  const source = [...names].map((name) => `export const ${name} = globalThis.cwmVscode.${name};`).join('\n');
  registerHooks({
    resolve: (wanted, context, next) =>
      wanted === 'vscode' ? { url: 'vscode:stand-in', shortCircuit: true, format: 'module' } : next(wanted, context),
    load: (url, context, next) =>
      url === 'vscode:stand-in' ? { format: 'module', shortCircuit: true, source } : next(url, context),
  });
}

const namesIn = (script: string): string[] =>
  [...script.matchAll(/import\s*\{([^}]*)\}\s*from\s*["']vscode["']/g)].flatMap(([, list = '']) =>
    list.split(',').flatMap((each) => /^\s*(\w+)/.exec(each)?.[1] ?? []),
  );
