import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { writeNoiseModel } from '../../src/embedded/noiseModel/noiseModelFile.ts';
import { VllmEngine } from '../../src/engines/vllm/vllmEngine.ts';
import { EngineProcess } from '../../test/embedded/support/engineProcess.ts';
import { smallShape } from '../../test/embedded/support/smallModel.ts';
import { mustHold, type Benchmark, type Figure } from '../benchmark.ts';
import { countedTalk, sumOf } from './countedTalk.ts';

/** Its template lists tools; the generated model's own has no place for them. */
const template = fileURLToPath(new URL('../../test/engines/toolCalls/templates/hermes.jinja', import.meta.url));

/**
 * The conversation of MEMORY on the embedded engine with a small generated model: what the engine computed and reused. 60 turns of a context of
 * 8,000 tokens; with `--whole` 400 turns of 32,000. The script's answers are put into the cache as if the model had written them.
 */
export const counters: Benchmark = {
  ids: ['COUNTERS'],
  async run(signal, { whole = false }) {
    const [turns, limit] = whole ? [400, 32_000] : [60, 8000];
    const folder = await mkdtemp(path.join(tmpdir(), 'cwm-counters-'));
    const model = path.join(folder, 'small.gguf');
    // Which weights they are changes no count; the usual generated model takes ten times as long.
    writeNoiseModel(model, { ...smallShape, contextTokens: 32_768 });
    const flags = ['--model', model, '--context', `${limit}`, '--gpu', 'off', '--chat-template', template];
    const server = await EngineProcess.start(path.join(folder, 'kv'), ...flags);
    try {
      const engine = new VllmEngine({ spec: 'embedded', connect: async () => ({ url: server.url }) });
      const talked = await countedTalk(engine, { turns, limit }, signal);
      const { sent, reused, computed, summaries, summaryComputed, sealedComputed, largest, over } = talked;
      const { recalled, asked, inPrompt, faults, wholeOriginals } = talked;
      mustHold(wholeOriginals === recalled, 'each page comes back byte for byte');
      const share = (reused / sent) * 100;
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
        figure(`tokens computed for ${summaries.length} summaries, ${size}`, summaryComputed, {
          unit: 'tokens',
          wanted: '',
          met: true,
        }),
        figure(`the largest request, its answer included, ${size}`, largest, {
          unit: 'tokens',
          wanted: `at most ${limit.toLocaleString('en-US')}`,
          met: over === 0,
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
