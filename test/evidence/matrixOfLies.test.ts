import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { makeCore } from '../../src/core/core.ts';
import type { Engine } from '../../src/core/ports/engine.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import { openStore } from '../../src/store/openStore.ts';
import { MemoryFiles } from '../store/memoryFiles.ts';
import { isSampled } from '../support/nightly.ts';
import { operations, runCell, sights, type Cell, type Operation, type Product, type Sight } from './cell.ts';
import { lies } from './lies.ts';

/*
 * Every lie and fault of a server, and every damage to what it keeps, against every operation, with its block files in sight
 * and out of it. The fake knows what it truly reused; a verdict is held against that. `npm test` runs every lie in one column, and every column
 * against as many lies as any other.
 */

const columns = operations.flatMap((operation) => sights.map((sight) => [operation, sight] as const));
const wordOf = ({ receipt, errorCode }: Cell): string => receipt?.verdict ?? errorCode ?? '?';

const table: string[] = [];
let cells = 0;
const counts = new Map<string, number>();

/** Small stores stay quick: each lie has one of its own. */
async function openProduct(): Promise<Product & AsyncDisposable> {
  const engines = new Map<string, Engine>();
  const store = await openStore({ directory: '/matrix', clock: systemClock, files: new MemoryFiles() });
  const cwm = makeCore({
    store,
    clock: systemClock,
    changes: { emit: () => undefined },
    // At the end, nothing is left to save KV for.
    checkpoints: { shutdownMs: 0 },
    engines: {
      defaultSpec: '',
      get: (spec) => {
        const engine = engines.get(spec);
        if (engine) return engine;
        throw new CwmError('EngineUnavailable', `There is no engine ${spec}.`);
      },
      status: () => Promise.reject(new Error('not needed')),
    },
    files: { read: () => Promise.reject(new Error('no file is read here')) },
  });
  const dispose = async (): Promise<void> => {
    await cwm.close();
    await store.close();
  };
  return { cwm, store, engines, [Symbol.asyncDispose]: dispose };
}

afterAll(() => {
  const folder = join(import.meta.dirname, '..', '..', 'test-results');
  mkdirSync(folder, { recursive: true });
  const heads = ['lie', ...columns.map(([operation, sight]) => `${operation}, ${sight}`)];
  writeFileSync(join(folder, 'matrix-of-lies.md'), [row(heads), row(heads.map(() => '---')), ...table, ''].join('\n'));
  const words = [...counts].sort(([, one], [, two]) => two - one).map(([word, count]) => `${count} ${word}`);
  console.log(`matrix of lies: ${cells} cells, every claim in them true: ${words.join(', ')}`);
});

const row = (entries: readonly string[]): string => `| ${entries.join(' | ')} |`;

/** Why a verdict does not claim a full reuse that took place; null when it ought to. */
function whyNotClaimed({ receipt }: Cell, sight: Sight): string | null {
  if (!receipt) return 'it ended with an error';
  const { cachedTokens, promptTokens, cachedTokensFrom, content, blockTokens } = receipt;
  if (cachedTokens === null || (cachedTokensFrom !== 'usage' && cachedTokensFrom !== 'events'))
    return 'the server does not show it of this request';
  if (cachedTokens > (promptTokens ?? 0)) return 'the server shows what can not be';
  if (receipt.verdict === 'reused') {
    if (receipt.summary.includes('worked out from the text')) return 'the ids may not be those of the conversation';
    if (sight === 'files out of sight') return 'no checksum could speak for the content';
    if (content.blocksChecked === 0 || content.blocksMissing > 0) return 'not every file was there to be checked';
  }
  if (content.blocksDamaged > 0) return 'a file of what was frozen was damaged';
  if (blockTokens !== 16) return 'the server tells another block size than it has';
  return null;
}

function problemsOf(cell: Cell, operation: Operation, sight: Sight): string[] {
  const { receipt, errorCode, truth, lost, isNextAnswerRight } = cell;
  const problems: string[] = [];
  if (operation !== 'freeze' && receipt === null) problems.push(`a thaw that opens nothing: ${errorCode}`);
  const isTrue = truth !== null && truth.isFullReuse && truth.isRight;
  if (receipt?.verdict === 'proven' && !isTrue) problems.push(`proven, and in truth ${JSON.stringify(truth)}`);
  if (receipt?.verdict === 'proven' && sight === 'files out of sight')
    problems.push('proven, and nobody saw the content');
  if (receipt?.verdict === 'reused' && !truth?.isFullReuse)
    problems.push(`reused, and in truth ${JSON.stringify(truth)}`);
  if (isTrue && receipt?.verdict !== 'proven' && whyNotClaimed(cell, sight) === null)
    problems.push(`true reuse of ${truth.reusedTokens} is called ${receipt?.verdict}`);
  if (errorCode !== null && !/^CWM-\d{4}$/.test(errorCode))
    problems.push(`an error that is none of ours: ${errorCode}`);
  if (lost.length > 0) problems.push(`lost: ${lost.join(', ')}`);
  // Where nothing is claimed of the content, the canary is all there is, and it cannot tell small damage from rounding. Where the server
  // heeds no salt, what was found cannot be given up, and the receipt says so.
  const isClaimed =
    receipt?.verdict !== 'unobserved' && !(receipt?.verdict === 'reused' && receipt.content.canary !== 'agreed');
  const isSaid = receipt?.verdict === 'damaged' && receipt.repair === 'none';
  if (!isNextAnswerRight && isClaimed && !isSaid) problems.push('the next answer was made of other content');
  return problems.map((problem) => `${operation}, ${sight}: ${problem}`);
}

describe('the matrix of lies: never proven unless it is true, nothing lost, nothing hangs', () => {
  test.for(lies.map((lie, index) => ({ ...lie, index })))('$name', async (lie) => {
    await using product = await openProduct();
    const problems: string[] = [];
    const words: string[] = [];
    for (const [column, [operation, sight]] of columns.entries()) {
      const isNoCase = lie.isOfFrozenOnly === true && operation === 'freeze';
      if (isNoCase || !isSampled(lie.index + column, columns.length)) {
        words.push(isNoCase ? '–' : '');
        continue;
      }
      const cell = await runCell(product, lie, operation, sight);
      problems.push(...problemsOf(cell, operation, sight));
      words.push(wordOf(cell));
      cells++;
      counts.set(wordOf(cell), (counts.get(wordOf(cell)) ?? 0) + 1);
    }
    table.push(row([lie.name, ...words]));
    expect(problems).toEqual([]);
  });
});
