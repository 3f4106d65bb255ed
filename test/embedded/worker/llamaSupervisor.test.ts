import { describe, expect, it } from 'vitest';
import { LlamaSupervisor } from '../../../src/embedded/worker/llamaSupervisor.ts';
import { FakeLlama } from '../support/fakeLlama.ts';

/** A supervisor whose starts are answered in turn, with a process or a failure. */
function supervised(...starts: (FakeLlama | Error)[]) {
  const said: string[] = [];
  const ends: ((reason: string) => void)[] = [];
  const supervisor = new LlamaSupervisor(
    async (onEnd) => {
      ends.push(onEnd);
      const next = starts.shift() ?? new Error('no more starts');
      if (next instanceof Error) throw next;
      return next;
    },
    (message) => said.push(message),
  );
  return { supervisor, said, end: (reason: string) => ends.at(-1)?.(reason), started: () => ends.length };
}

describe('the supervisor of llama.cpp', () => {
  it('starts one process for all who ask', async () => {
    const one = new FakeLlama();
    const { supervisor, started } = supervised(one);
    expect(supervisor.pid).toBeNull();
    expect(await Promise.all([supervisor.get(), supervisor.get()])).toEqual([one, one]);
    expect(started()).toBe(1);
    expect(supervisor.pid).toBe(one.pid);
  });

  it('starts another as soon as one has ended, and counts it', async () => {
    const two = new FakeLlama();
    const { supervisor, end, said } = supervised(new FakeLlama(), two);
    await supervisor.get();
    end('The llama.cpp process ended with SIGABRT.');
    expect(await supervisor.get()).toBe(two);
    expect(supervisor.restarts).toBe(1);
    expect(said).toEqual(['The llama.cpp process ended with SIGABRT. Another is started.']);
  });

  it('does not try again by itself where a new start fails, but with the next request', async () => {
    const three = new FakeLlama();
    const { supervisor, end, said, started } = supervised(new FakeLlama(), new Error('no memory'), three);
    await supervisor.get();
    end('It ended.');
    await expect(supervisor.get()).rejects.toThrow('no memory');
    expect(started()).toBe(2);
    expect(said).toEqual(['It ended. Another is started.', 'llama.cpp could not be started again: Error: no memory']);
    expect(await supervisor.get()).toBe(three);
  });

  it('tells the caller alone that the first start failed, or that the process ended right after it', async () => {
    const dead = new FakeLlama();
    dead.kill();
    const { supervisor, end, said } = supervised(new Error('no such file'), dead);
    await expect(supervisor.get()).rejects.toThrow('no such file');
    await expect(supervisor.get()).rejects.toThrow('The llama.cpp process ended right after its start.');
    end('It ended.');
    expect(said).toEqual([]);
    expect(supervisor.restarts).toBe(0);
  });

  it('ends its process when it is closed, also one that was being started, and starts no other', async () => {
    const [one, late] = [new FakeLlama(), new FakeLlama()];
    const running = supervised(one);
    await running.supervisor.get();
    running.supervisor.close();
    running.end('It was ended.');
    expect(one.isAlive).toBe(false);
    await expect(running.supervisor.get()).rejects.toThrow('The engine is ending.');
    expect(running.said).toEqual([]);
    const starting = supervised(late);
    const started = starting.supervisor.get();
    starting.supervisor.close();
    await started;
    expect(late.isAlive).toBe(false);
  });
});
