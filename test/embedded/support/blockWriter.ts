// Cuts a state into blocks, as a thread of the engine does, and dies by SIGKILL at one step of it:
// `blockWriter.ts STATE JOB STEP`. Prints each step that it took, so that a run without a fatal step names all of them.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import type { BlockJob } from '../../../src/embedded/kv/blockJob.ts';

const [statePath = '', job = '', fatalStep = ''] = process.argv.slice(2);
const die = (): never => {
  process.kill(process.pid, 'SIGKILL');
  // The signal ends the process before this call does.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  throw new Error('A killed process goes on.');
};
let steps = 0;
const step = (what: string): void => {
  const name = `${steps++} ${what}`;
  if (name === fatalStep) die();
  fs.writeSync(1, `${name}\n`);
};

const { mkdirSync, openSync, closeSync, renameSync } = fs;
const isWriting = new Set<number>();
Object.assign(fs, {
  mkdirSync: (...args: Parameters<typeof mkdirSync>) => {
    step('before a folder is made');
    return mkdirSync(...args);
  },
  openSync: (...args: Parameters<typeof openSync>) => {
    step('before a file is opened');
    const file = openSync(...args);
    isWriting.add(file);
    return file;
  },
  writevSync: (file: number, pieces: readonly Buffer[]) => {
    step('before a write');
    const [head, body] = pieces;
    if (!head || !body) throw new Error('A block has a head and a body.');
    // Torn at three places: inside the head, behind it, inside the body.
    for (const part of [head.subarray(0, 50), head.subarray(50), body.subarray(0, body.length >> 1)]) {
      fs.writeSync(file, part);
      step('in a write');
    }
    fs.writeSync(file, body.subarray(body.length >> 1));
    step('after a write');
    return head.length + body.length;
  },
  closeSync: (file: number) => {
    closeSync(file);
    if (isWriting.delete(file)) step('after a file is closed');
  },
  renameSync: (...args: Parameters<typeof renameSync>) => {
    renameSync(...args);
    step('after a file has its name');
  },
});
const stateFile = openSync(statePath, 'r');
const temporary = join(JSON.parse(job).runFolder, `run-${process.pid}`, 'block.tmp');
const parsed = {
  ...(JSON.parse(job) as Omit<BlockJob, 'stateFile' | 'seal'>),
  seal: { key: null },
  stateFile,
  temporary,
};
// Imported only now, so that it has the steps.
syncBuiltinESMExports();
const { BlockBench } = await import('../../../src/embedded/kv/blockJob.ts');
const outcomes = new BlockBench().run(parsed, 0, parsed.blocks.length, 0);
if (outcomes.some((outcome) => outcome !== 'done')) throw new Error(JSON.stringify(outcomes));
