import type { MemoryStats } from '../../../../src/protocol/memory/stats.ts';
import type { Core } from '../../../../src/core/core.ts';
import type { CountingEngine, Counted, Model } from './countingEngine.ts';
import { makeTrace, type TraceTurn } from './trace.ts';

export const systemPrompt = 'You are a careful engineer. '.repeat(20);

/** Tokens that each answer may take. */
const answerTokens = 400;

export interface Talked {
  /** Requests for answers, one list a turn. */
  readonly turns: readonly (readonly Counted[])[];
  readonly summaries: readonly Counted[];
  /** How often the model had a page brought back. */
  readonly faults: readonly number[];
  /** Of the decisions that were asked for: said again with the id of the page that has them. */
  readonly recalled: number;
  readonly asked: number;
  /** Of those, how many the prompt had when the model answered, and how many pages came back byte for byte. */
  readonly inPrompt: number;
  readonly wholeOriginals: number;
  /** Of the memory, at the end. */
  readonly stats: MemoryStats;
}

/** An engine that says what each request took. */
interface CountedEngine {
  readonly spec: string;
  readonly counted: readonly Counted[];
}

/** Plays a trace through a core, on an engine whose model answers as the trace says and finds decisions by what its prompt says. */
export class TraceTalk<Talking extends CountedEngine = CountingEngine> {
  readonly engine: Talking;
  readonly #trace: readonly TraceTurn[];
  #turn = 0;
  #faults = 0;
  #prompt = '';

  constructor(turns: number, make: (model: Model) => Talking) {
    this.#trace = makeTrace(turns);
    this.engine = make((prompt) => {
      const turn = this.#trace[this.#turn];
      this.#prompt = prompt;
      if (!turn || turn.asked === null) return { text: turn?.assistant ?? '' };
      const said = recall(prompt);
      if ('call' in said) this.#faults++;
      return said;
    });
  }

  /** @throws Error where an original is not what the user said. */
  async talk(cwm: Core): Promise<Talked> {
    await cwm.putPrompt({ prompt: 'careful', text: systemPrompt });
    await cwm.createSession({ id: 's', systemPrompt: 'careful', memory: { enableVm: true } });
    const turns: Counted[][] = [];
    const faults: number[] = [];
    let [recalled, inPrompt, wholeOriginals] = [0, 0, 0];
    for (const [at, { user, asked }] of this.#trace.entries()) {
      this.#turn = at;
      this.#faults = 0;
      const from = this.engine.counted.length;
      const { text } = await cwm.send({ session: 's', text: user, maxTokens: answerTokens });
      turns.push(this.engine.counted.slice(from).filter(({ kind }) => kind === 'answer'));
      faults.push(this.#faults);
      if (asked === null) continue;
      const original = this.#trace.find((turn) => turn.user.includes(asked))?.user ?? '';
      if (this.#prompt.includes(asked)) inPrompt++;
      if (this.#prompt.includes(`"content":${JSON.stringify(original)}`)) wholeOriginals++;
      if (text.includes(asked) && /\[ref: p\d+-[0-9a-f]{4}\]/.test(text)) recalled++;
    }
    return {
      turns,
      faults,
      recalled,
      inPrompt,
      wholeOriginals,
      asked: this.#trace.filter(({ asked }) => asked !== null).length,
      summaries: this.engine.counted.filter(({ kind }) => kind === 'summary'),
      stats: (await cwm.memoryState({ session: 's' })).stats,
    };
  }
}

/** What a careful model would do that sees this prompt and no more: it brings back the page that the memory names, and answers from it. */
function recall(prompt: string): ReturnType<Model> {
  const asked = [...prompt.matchAll(/What did we decide about the ([^?]+)\?/g)].at(-1);
  if (!asked) return { text: 'I was asked nothing.' };
  const about = asked[1] ?? '';
  const behind = prompt.slice(asked.index);
  const page = /"page_id":"(p\d+-[0-9a-f]{4})"[^]*?"content":"[^"]*Decision about the [^:]+: ([^.]+)\./.exec(behind);
  if (page) return { text: `${page[2]}. [ref: ${page[1]}]` };
  const named = new RegExp(`\\((p\\d+-[0-9a-f]{4})\\)[^()]*Decision about the ${about}:`).exec(prompt);
  if (!named || behind.includes('"page_id"')) return { text: 'I do not know.' };
  return { call: { name: 'page_fault', arguments: JSON.stringify({ page_id: named[1], target_level: 0 }) } };
}
