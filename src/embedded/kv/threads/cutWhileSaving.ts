import { isDeepStrictEqual } from 'node:util';
import type { BlockJob, BlockOutcome, RowRun } from './blockJob.ts';
import type { KvThreads } from './kvThreads.ts';

/** Blocks that are cut out of a state while llama.cpp saves it. */
export interface Cutting {
  /**
   * Ends it: gives the files their names when the rows lie where the job expected them; else, as for null, deletes what was written. Only the
   * first call decides.
   *
   * @returns null when nothing of it is used.
   */
  end(found: readonly RowRun[] | null): Promise<BlockOutcome[] | null>;
}

/** @param job over a state file that grows from its beginning to its end. The caller must end it. */
export function cutWhileSaving(threads: KvThreads, job: BlockJob): Cutting {
  const judged = Promise.withResolvers<boolean>();
  const outcomes = threads.run(job, judged.promise);
  // It may fail before its end is asked for.
  outcomes.catch(() => undefined);
  return {
    end: (found) => {
      const isGood = found !== null && isDeepStrictEqual(found, job.runs);
      judged.resolve(isGood);
      const unused = (): null => null;
      return isGood ? outcomes : outcomes.then(unused, unused);
    },
  };
}
