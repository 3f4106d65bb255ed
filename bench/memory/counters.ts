import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import type { Engine } from '../../src/core/ports/engine.ts';
import { VllmEngine } from '../../src/engines/vllm/vllmEngine.ts';
import { systemPrompt, TraceTalk } from '../../test/core/memory/endless/talkTrace.ts';
import { makeTrace } from '../../test/core/memory/endless/trace.ts';
import { EngineProcess } from '../../test/embedded/support/engineProcess.ts';
import { coreWith } from '../coreWith.ts';
import { mustHold, type Benchmark, type Figure } from '../benchmark.ts';
import { ForcedEngine } from './forcedEngine.ts';
import { policies, runPolicy } from './policies.ts';

/** Its template lists tools; the generated model's own has no place for them. */
const template = fileURLToPath(new URL('../../test/engines/toolCalls/templates/hermes.jinja', import.meta.url));

/**
 * The conversation of MEMORY on the embedded engine with its generated model: what the engine computed and reused. 40 turns of a context of
 * 4,096 tokens; with `--whole` 400 turns of 32,000. The script's answers are put into the cache as if the model had written them.
 */
export const counters: Benchmark = {
  ids: ['COUNTERS'],
  async run(signal, { whole = false }) {
    const [turns, limit] = whole ? [400, 32_000] : [40, 4_096];
    const folder = await mkdtemp(path.join(tmpdir(), 'cwm-counters-'));
    const flags = ['--context', `${limit}`, '--gpu', 'off', '--chat-template', template];
    const server = await EngineProcess.start(path.join(folder, 'kv'), ...flags);
    try {
      const engine: Engine = new VllmEngine({ spec: 'embedded', connect: async () => ({ url: server.url }) });
      const talk = new TraceTalk(turns, (model) => new ForcedEngine(engine, model));
      await using made = await coreWith(talk.engine as unknown as Engine, undefined, {
        checkpoints: { enabled: false },
      });
      const { turns: talked, faults, recalled, inPrompt, asked, wholeOriginals } = await talk.talk(made.cwm);
      mustHold(wholeOriginals === recalled, 'each page comes back byte for byte');
      const requests = talked.flat();
      const sent = sumOf(requests.map((request) => request.sent));
      const computed = sumOf(requests.map((request) => request.sent - request.reused));
      const trace = makeTrace(turns);
      const texts = trace.flatMap(({ user, assistant }) => [user, assistant]).filter((text) => text !== '');
      const counted = await Promise.all(
        texts.slice(0, 40).map((content) => engine.tokenize([{ role: 'user', content }], false, signal)),
      );
      const perCharacter =
        sumOf(counted.map(({ length }) => length)) / sumOf(texts.slice(0, 40).map(({ length }) => length / 4));
      const sealed = runPolicy(policies.at(-1)!.make, { trace, systemPrompt, limit: limit / perCharacter });
      const sealedComputed = sealed.computed * perCharacter;
      const needed = talk.engine.counted.map((request) => request.needed);
      const share = (1 - computed / sent) * 100;
      const size = `${turns} turns, ${limit.toLocaleString('en-US')} tokens at most`;
      const most = Math.max(...faults);
      return [
        figure(`prompt tokens reused, of ${sent.toLocaleString('en-US')}, ${size}`, share, {
          unit: '%',
          // Each turn's own tokens are new: of a short context they are a larger share.
          wanted: whole ? 'at least 98 %' : '',
          met: !whole || share >= 98,
        }),
        figure(`tokens computed, ${size}`, computed, {
          unit: 'tokens',
          baseline: { what: 'sealed segments without a way back', value: sealedComputed },
          wanted: 'at most 1.3 × as many',
          met: computed <= 1.3 * sealedComputed,
        }),
        figure(`the largest request, its answer included, ${size}`, Math.max(...needed), {
          unit: 'tokens',
          wanted: `at most ${limit.toLocaleString('en-US')}`,
          met: needed.every((each) => each <= limit),
        }),
        figure(
          `decisions found, of ${asked}; ${sumOf(faults)} faults, at most ${most} in a turn`,
          (recalled / asked) * 100,
          {
            unit: '%',
            wanted: '100 %, at most 2 faults a turn and 10 in all',
            met: recalled === asked && inPrompt === asked && most <= 2 && sumOf(faults) <= 10,
          },
        ),
      ];
    } finally {
      await server.kill();
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
  },
};

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

function figure(
  what: string,
  value: number,
  { baseline = null, ...given }: Pick<Figure, 'unit' | 'wanted' | 'met'> & Partial<Pick<Figure, 'baseline'>>,
): Figure {
  return {
    id: 'COUNTERS',
    what,
    value,
    baseline,
    ratio: baseline ? baseline.value / value : null,
    runs: 1,
    ...given,
  };
}
