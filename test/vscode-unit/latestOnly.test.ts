import { describe, expect, test } from 'vitest';
import { LatestOnly } from '../../src/vscode/following/latestOnly.ts';

describe('one job at a time', () => {
  test('what is asked for while a job runs makes it run once more, so that nothing asked for is missed', async () => {
    const jobs = new LatestOnly();
    let world = 'old';
    const seen: string[] = [];
    const gate = Promise.withResolvers<void>();
    const look = async (): Promise<void> => {
      const before = world;
      if (seen.length === 0) await gate.promise;
      seen.push(before);
    };
    const first = jobs.run('key', look);
    await Promise.resolve();
    await Promise.resolve();
    world = 'new';
    const later = [jobs.run('key', look), jobs.run('key', look)];
    gate.resolve();
    await Promise.all([first, ...later]);
    expect(seen).toEqual(['old', 'new']);
  });

  test('jobs of other keys do not wait, and a failure does not block the next one', async () => {
    const jobs = new LatestOnly();
    const never = new Promise<void>(() => undefined);
    void jobs.run('a', () => never);
    await expect(jobs.run('b', () => Promise.reject(new Error('once')))).rejects.toThrow('once');
    let ran = 0;
    await jobs.run('b', async () => void ran++);
    expect(ran).toBe(1);
  });
});
