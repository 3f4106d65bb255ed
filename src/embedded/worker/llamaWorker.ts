import type {
  ControlledEvaluateInputItem,
  LlamaContextSequence,
  LlamaGrammarEvaluationState,
  LlamaModel,
  Token,
} from 'node-llama-cpp';
import { candidatesOf, scoresOf } from './candidates.ts';
import { grammarOf } from './grammar.ts';
import { loadModel, StartError } from './loadModel.ts';
import { StateParts } from './stateParts.ts';
import type {
  ModelInfo,
  NextToken,
  Within,
  WorkerConfig,
  WorkerOperations,
  WorkerReply,
  WorkerRequest,
} from './workerProtocol.ts';

/**
 * The process that holds llama.cpp. It may die at any moment (a bad state file aborts it, a bad model can), so it decides
 * nothing: it carries out operations and answers with their results. It ends with its parent.
 */

let model: LlamaModel | null = null;
let sequence: LlamaContextSequence | null = null;
let parts: StateParts | null = null;
/** Whether this node-llama-cpp tells logits; the first evaluation, while the model warms up, finds out. */
let givesLogits = true;

const operations: { [Name in keyof WorkerOperations]: (input: Parameters<WorkerOperations[Name]>[0]) => unknown } = {
  start,
  tokenize: ({ text, specialTokens }) => Uint32Array.from(openModel().tokenize(text, specialTokens)),
  detokenize: ({ lists, specialTokens }) =>
    lists.map((ids) => openModel().detokenize([...ids] as Token[], specialTokens)),
  evaluate: ({ ids, candidates, within }) =>
    within && candidates !== null
      ? evaluateWithin([...ids] as Token[], within)
      : evaluate([...ids] as Token[], candidates),
  truncate: async ({ length }) => {
    const { nextTokenIndex } = openSequence();
    if (length === 0) await openSequence().clearHistory();
    else if (length < nextTokenIndex)
      await openSequence().eraseContextTokenRanges([{ start: length, end: nextTokenIndex }]);
    return openSequence().nextTokenIndex;
  },
  save: async ({ path }) => void (await openSequence().saveStateToFile(path)),
  load: async ({ path }) => {
    await openSequence().clearHistory();
    await openSequence().loadStateFromFile(path, { acceptRisk: true });
    return openSequence().nextTokenIndex;
  },
  append: ({ path, isFirst }) => openParts().append(path, isFirst),
  adopt: ({ path }) => openParts().adopt(path),
  savePart: ({ path, from, to }) => openParts().save(path, from, to),
};

function openModel(): LlamaModel {
  if (!model) throw new Error('No model is loaded.');
  return model;
}

function openSequence(): LlamaContextSequence {
  if (!sequence) throw new Error('No model is loaded.');
  return sequence;
}

function openParts(): StateParts {
  if (!parts) throw new Error('This llama.cpp takes no parts of a state.');
  return parts;
}

async function start(config: WorkerConfig): Promise<ModelInfo> {
  const loaded = await loadModel(config);
  model = loaded.model;
  // Reuse is decided and stored outside; copies in this process' memory would only cost.
  sequence = loaded.context.getSequence({ checkpoints: { max: 0, interval: false } });
  await warmUp(config);
  const canTruncate = !sequence.needsCheckpoints;
  const tried = config.triesParts && canTruncate ? StateParts.of(sequence) : null;
  parts = (await tried?.work(config.samplePath)) === true ? tried : null;
  return { ...loaded.info, canTruncate, takesParts: parts !== null };
}

/** Reads every weight once, so that the first request is not slower than the others, and leaves a sample of the state. */
async function warmUp(config: WorkerConfig): Promise<void> {
  const ids = Array.from({ length: Math.min(32, config.batchTokens) }, (_, index) => index as Token);
  await evaluate(ids, 1);
  await evaluate(ids.slice(0, 1), 0);
  await openSequence().saveStateToFile(config.samplePath);
  await openSequence().clearHistory();
}

async function evaluate(ids: readonly Token[], candidates: number | null): Promise<NextToken | null> {
  const last = ids.at(-1);
  if (candidates === null || last === undefined) {
    await openSequence().evaluateWithoutGeneratingNewTokens([...ids]);
    return null;
  }
  const input: ControlledEvaluateInputItem[] = [...ids];
  const wanted = candidates > 0;
  input[ids.length - 1] = [
    last,
    {
      generateNext: {
        token: true,
        // Temperature 0 leaves the logits as the model gave them; the caller, who knows the request, does the sampling.
        options: { temperature: 0 },
        ...(wanted ? scoresOf(candidates, givesLogits) : {}),
      },
    },
  ];
  const next = (await openSequence().controlledEvaluate(input))[ids.length - 1]?.next;
  if (next?.token === null || next?.token === undefined) throw new Error('llama.cpp gave no next token.');
  if (!wanted) return { greedyId: next.token, candidates: null };
  givesLogits &&= next.logits !== undefined;
  return { greedyId: next.token, candidates: candidatesOf(next, candidates) };
}

/** Where the answer stands whose text a grammar decides on. */
let grammarState: { readonly key: string; readonly state: LlamaGrammarEvaluationState } | null = null;

async function evaluateWithin(ids: readonly Token[], within: Within): Promise<NextToken> {
  const { key, rule, temperature, topP, seed } = within;
  if (grammarState?.key !== key) {
    const { LlamaGrammarEvaluationState } = await import('node-llama-cpp');
    const grammar = await openModel().llama.createGrammar({ grammar: grammarOf(rule) });
    grammarState = { key, state: new LlamaGrammarEvaluationState({ model: openModel(), grammar }) };
  }
  const drawing = { temperature, topP, topK: 0, seed, yieldEogToken: true };
  const steps = openSequence().evaluate([...ids], { ...drawing, grammarEvaluationState: grammarState.state });
  const { value } = await steps.next();
  await steps.return();
  if (value === undefined) throw new Error('llama.cpp gave no next token within the grammar.');
  return { greedyId: value, candidates: null };
}

async function answer(request: WorkerRequest): Promise<WorkerReply> {
  try {
    // The name and the input belong together, which the compiler cannot see through the union.
    const operation = operations[request.name] as (input: WorkerRequest['input']) => unknown;
    return { id: request.id, ok: true, output: await operation(request.input) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { id: request.id, ok: false, message, ...(error instanceof StartError && { fault: error.fault }) };
  }
}

process.on('message', (request: WorkerRequest) => {
  void answer(request).then((reply) => process.send?.(reply));
});

// Not `process.exit`: it would wait for an evaluation that is still running.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// Ctrl-C reaches the whole process group; the parent decides when to go.
process.on('SIGINT', () => undefined);
