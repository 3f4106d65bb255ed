import { describe, expect, test } from 'vitest';
import { routes, type Route, type RouteName } from '../../src/protocol/api.ts';
import { shapes } from '../../src/protocol/routes/shapes.ts';

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
    for (const [name, { path }] of all) {
      const { shape } = shapes[name].input;
      for (const [, parameter = ''] of path.matchAll(/:(\w+)/g)) expect(Object.keys(shape), name).toContain(parameter);
    }
  });

  test('only a change needs to be allowed on a read-only store, or freed from limits', () => {
    const breaches = all.filter(([, each]) => each.kind === 'read' && (each.allowedReadOnly || each.unlimited));
    expect(breaches).toEqual([]);
  });
});
