import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { routes, type Route, type RouteName } from '../../src/protocol/api.ts';

const all = Object.entries(routes) as [RouteName, Route][];

describe('routes', () => {
  test('each has an address of its own', () => {
    const addresses = all.map(([, { method, path }]) => `${method} ${path}`);
    expect(new Set(addresses).size).toBe(addresses.length);
  });

  test('GET never changes anything, as HTTP promises', () => {
    const breaches = all.filter(([, { method, kind }]) => method === 'GET' && kind !== 'read');
    expect(breaches).toEqual([]);
  });

  test("a path's parameters are fields of the input", () => {
    for (const [name, { path, input }] of all) {
      const { shape } = input as unknown as { shape: object };
      for (const [, parameter = ''] of path.matchAll(/:(\w+)/g)) expect(Object.keys(shape), name).toContain(parameter);
    }
  });

  test('only a change needs to be allowed on a read-only store, or freed from limits', () => {
    const breaches = all.filter(([, each]) => each.kind === 'read' && (each.allowedReadOnly || each.unlimited));
    expect(breaches).toEqual([]);
  });

  test('those whose operation reports progress or text are those that stream', () => {
    const core = path.join(import.meta.dirname, '../../src/core');
    const sources = readdirSync(core, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && file !== 'changes.ts')
      .filter((file) => /\bprogressOf\(|type: 'delta'/.test(readFileSync(path.join(core, file), 'utf8')))
      .map((file) => path.basename(file, '.ts'));
    const streaming = all.filter(([, { streams }]) => streams).map(([name]) => (name === 'send' ? 'turns' : name));
    expect(streaming.sort()).toEqual(sources.sort());
  });
});
