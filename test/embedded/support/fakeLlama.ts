import { readFileSync, writeFileSync } from 'node:fs';
import { bufferSource, parseStateFile } from '../../../src/embedded/kv/state/stateFile.ts';
import type { Llama } from '../../../src/embedded/worker/llamaProcess.ts';
import type {
  OperationInput,
  OperationName,
  OperationOutput,
  WorkerOperations,
} from '../../../src/embedded/worker/workerProtocol.ts';
import { aModel } from './aModel.ts';
import { partState, rowState } from './rowState.ts';

/** A llama.cpp process that remembers the ids of its sequence and computes nothing. */
export class FakeLlama implements Llama {
  readonly pid = 1;
  isAlive = true;
  readonly info;
  ids: number[] = [];
  /** What it was asked, in order. */
  readonly calls: OperationName[] = [];
  /** What it answers instead, by operation. */
  readonly instead: { [Name in OperationName]?: () => OperationOutput<Name> } = {};

  /** Ids of parts that were appended and not adopted yet. */
  #appended: number[] = [];

  /** @param canTruncate whether it can forget the last tokens of its sequence. @param takesParts whether it loads and saves parts of it. */
  constructor(canTruncate = true, takesParts = false) {
    this.info = aModel({ canTruncate, takesParts });
  }

  async call<Name extends OperationName>(name: Name, input: OperationInput<Name>): Promise<OperationOutput<Name>> {
    this.calls.push(name);
    const operation = this.instead[name] ?? this.#operations[name];
    if (!operation) throw new Error(`The fake does not know ${name}.`);
    return (operation as (input: OperationInput<Name>) => OperationOutput<Name>)(input);
  }

  kill(): void {
    this.isAlive = false;
  }

  readonly #operations: Partial<WorkerOperations> = {
    evaluate: ({ ids }) => {
      this.ids.push(...ids);
      return null;
    },
    truncate: ({ length }) => {
      this.ids.length = length;
      return length;
    },
    save: ({ path }) => writeFileSync(path, rowState(this.ids)),
    load: ({ path }) => {
      this.ids = [...parseStateFile(bufferSource(readFileSync(path)), null).ids];
      return this.ids.length;
    },
    append: ({ path, isFirst }) => {
      if (isFirst) [this.ids, this.#appended] = [[], []];
      const from = this.#appended.length;
      const bytes = readFileSync(path);
      const { ids } = parseStateFile(bufferSource(bytes), null, { from, namesSequence: true });
      if (!bytes.equals(rowState(ids, from))) throw new Error(`The part from ${from} on has other rows.`);
      this.#appended.push(...ids);
    },
    adopt: ({ path }) => {
      const { ids } = parseStateFile(bufferSource(readFileSync(path)), null);
      if (ids.join() !== this.#appended.join()) throw new Error('Other tokens were appended.');
      this.ids = [...ids];
      return ids.length;
    },
    savePart: ({ path, from, to }) => writeFileSync(path, partState(this.ids.slice(from, to), from)),
  };
}
