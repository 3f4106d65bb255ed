// Cuts a state into blocks, as a thread of the engine does, and dies by SIGKILL at one step of it:
// `blockWriter.ts STATE JOB STEP`. Prints each step that it took, so that a run without a fatal step names all of them.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import type { BlockJob } from '../../../src/embedded/kv/threads/blockJob.ts';

const [statePath = '', job = '', fatalStep = ''] = process.argv.slice(2);
const die = (): never => {
  process.kill(process.pid, 'SIGKILL');
  // The signal ends the process before this call does.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  throw new Error('A killed process goes on.');
};
let steps = 0;
const { mkdirSync, openSync, closeSync, renameSync, writeSync } = fs;
const step = (what: string): void => {
  const name = `${steps++} ${what}`;
  if (name === fatalStep) die();
  writeSync(1, `${name}\n`);
};

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
  writeSync: (file: number, bytes: Uint8Array, from: number, length: number, position: number) => {
    step('before a write');
    // Torn inside a head, and inside a body.
    const [third, half] = [Math.floor(length / 3), Math.floor(length / 2)];
    writeSync(file, bytes, from, third, position);
    step('in a write');
    writeSync(file, bytes, from + third, half - third, position + third);
    step('in a write');
    writeSync(file, bytes, from + half, length - half, position + half);
    step('after a write');
    return length;
  },
  // Torn in each of its buffers, too.
  writevSync: (file: number, buffers: readonly Uint8Array[], position: number) => {
    let at = position;
    for (const bytes of buffers) at += fs.writeSync(file, bytes, 0, bytes.length, at);
    return at - position;
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
const { BlockCutter } = await import('../../../src/embedded/kv/threads/cutBlocks.ts');
const { newProgress, stateStatus, statusAt } = await import('../../../src/embedded/kv/threads/jobProgress.ts');
const progress = newProgress();
progress[statusAt] = stateStatus.good;
const outcomes = new BlockCutter().run(parsed, 0, parsed.blocks.length, progress, 0);
if (outcomes.some((outcome) => outcome !== 'done')) throw new Error(JSON.stringify(outcomes));
