import { readFileSync, writeFileSync } from 'node:fs';
import { bufferSource, parseStateFile } from '../../../src/embedded/kv/stateFile.ts';
import type { Llama } from '../../../src/embedded/worker/llamaProcess.ts';
import type {
  OperationInput,
  OperationName,
  OperationOutput,
  WorkerOperations,
} from '../../../src/embedded/worker/workerProtocol.ts';
import { aModel } from './aModel.ts';
import { rowState } from './rowState.ts';

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

  /** @param canTruncate whether it can forget the last tokens of its sequence. */
  constructor(canTruncate = true) {
    this.info = aModel({ canTruncate });
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
  };
}
