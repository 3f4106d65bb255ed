import { fileURLToPath } from 'node:url';
import { median, mustHold, timed, type Benchmark } from './benchmark.ts';
import { withPassingBackend } from './passingBackend.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const turns = 5;
const project = 'file:///bench';

/** What a rolling checkpoint of one more turn costs, against that turn, and how long a turn waits for a checkpoint that it interrupts. */
export const checkpoints: Benchmark = {
  ids: ['CHECKPOINT', 'PREEMPT'],
  async run(signal) {
    return withPassingBackend(async (client) => {
      const session = 's';
      await client.call('createSession', { id: session, engine: 'embedded', project }, { signal });
      await client.call('setCurrentSession', { project, session }, { signal });
      await client.call('prime', { session, paths: ['src/base'], cwd: root, maxTokens: 2048 }, { signal });
      const turn = (number: number) =>
        client.call('send', { session, text: `And part ${number}?`, maxTokens: 128 }, { signal });
      await turn(0);
      await client.call('closeProject', { project }, { signal });
      const [turnMs, keepMs, alone, interrupting]: [number[], number[], number[], number[]] = [[], [], [], []];
      for (let number = 1; number <= turns; number++) {
        const { ms, result } = await timed(() => turn(number));
        turnMs.push(ms);
        alone.push(result.timeToFirstTokenMs ?? Number.NaN);
        const kept = await client.call('closeProject', { project }, { signal });
        mustHold(kept.receipt?.verdict === 'proven', 'the checkpoint is proven');
        keepMs.push(kept.receipt?.ms ?? Number.NaN);
        // Another turn makes something to save; the next one comes while it is saved.
        await turn(number + 100);
        const saving = client.call('closeProject', { project }, { signal });
        await new Promise((resolve) => setTimeout(resolve, 5));
        interrupting.push((await turn(number + 200)).timeToFirstTokenMs ?? Number.NaN);
        await saving;
        await client.call('closeProject', { project }, { signal });
      }
      const [cost, base] = [median(keepMs), median(turnMs)];
      const late = Math.max(0, median(interrupting) - median(alone));
      return [
        {
          id: 'CHECKPOINT',
          what: 'checkpoint of one more turn of 128 tokens',
          unit: 'ms',
          value: cost,
          baseline: { what: 'the turn', value: base },
          ratio: base / cost,
          wanted: '< 5 % of the turn',
          met: cost < 0.05 * base,
          runs: turns,
        },
        {
          id: 'PREEMPT',
          what: 'later first token of a turn that interrupts a checkpoint',
          unit: 'ms',
          value: late,
          baseline: { what: 'first token of a turn alone', value: median(alone) },
          ratio: null,
          wanted: 'at most 50 ms',
          met: late <= 50,
          runs: turns,
        },
      ];
    });
  },
};
